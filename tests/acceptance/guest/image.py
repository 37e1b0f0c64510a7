"""What a guest boots: Debian's kernel for clouds, and a busybox.

The kernel is fetched as a package and unpacked, never installed. Its modules
for virtio, busybox and ``init.sh`` make the file system that it starts with.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import gzip
import os
from pathlib import Path
import re
import shutil
import subprocess
import tempfile

META_PACKAGE = 'linux-image-cloud-amd64'
MODULES = (
    'virtio_ring',
    'virtio',
    'virtio_pci_legacy_dev',
    'virtio_pci_modern_dev',
    'virtio_pci',
    'virtio_blk',
)
"""Each after those that it needs; some kernels have some of them built in."""
_PACKAGES = {
    'apt-get': 'apt',
    'busybox': 'busybox-static',
    'cpio': 'cpio',
    'dpkg': 'dpkg',
}
_DEPENDS = re.compile(r'^\s*Depends:\s*(linux-image-\S+)$', re.MULTILINE)
_INIT = Path(__file__).with_name('init.sh')


class NoImage(Exception):
    """There is nothing to boot; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """Two files that QEMU loads."""

    kernel: Path
    initrd: Path


def missing() -> list[str]:
    """Return the packages that are needed and not installed."""
    return sorted(
        package
        for program, package in _PACKAGES.items()
        if shutil.which(program) is None
    )


def package_of(depends: str) -> str:
    """Return the kernel's package, from what ``apt-cache depends`` prints.

    :raises NoImage: it names none.
    """
    found = _DEPENDS.search(depends)
    if found is None:
        raise NoImage(
            f'apt knows no {META_PACKAGE}: only Debian and its likes have '
            'one; run apt-get update if this is one.'
        )
    return found[1]


def make(folder: Path, cache: Path) -> Image:
    """Make an image in a folder; what was fetched before is used again.

    :raises NoImage: something is missing, or was refused.
    """
    name = package_of(_run(['apt-cache', 'depends', META_PACKAGE]))
    unpacked = cache / name
    if not unpacked.exists():
        _fetch(name, unpacked)
    kernels = sorted(unpacked.glob('boot/vmlinuz-*'))
    if not kernels:
        raise NoImage(f'There is no kernel in {unpacked}; remove it.')
    folder.mkdir(parents=True, exist_ok=True)
    kernel = folder / 'vmlinuz'
    shutil.copyfile(kernels[-1], kernel)
    initrd = folder / 'initrd.gz'
    with tempfile.TemporaryDirectory(dir=folder) as root:
        _fill(Path(root), unpacked)
        initrd.write_bytes(gzip.compress(_archive(Path(root)), 1))
    return Image(kernel=kernel, initrd=initrd)


def _fetch(name: str, unpacked: Path) -> None:
    unpacked.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=unpacked.parent) as temporary:
        _run(['apt-get', 'download', '-q', name], cwd=Path(temporary))
        packages = list(Path(temporary).glob('*.deb'))
        if len(packages) != 1:
            raise NoImage(f'apt-get download {name} has brought nothing.')
        content = Path(temporary) / 'content'
        _run(['dpkg', '-x', str(packages[0]), str(content)])
        content.rename(unpacked)


def _fill(root: Path, unpacked: Path) -> None:
    (root / 'bin').mkdir()
    busybox = shutil.which('busybox')
    if busybox is None:
        raise NoImage('Not installed: busybox-static.')
    shutil.copy(busybox, root / 'bin' / 'busybox')
    shutil.copy(_INIT, root / 'init')
    (root / 'init').chmod(0o755)
    (root / 'modules').mkdir()
    order = []
    for module in MODULES:
        for found in unpacked.glob(f'**/kernel/drivers/**/{module}.ko'):
            shutil.copy(found, root / 'modules')
            order.append(module)
    (root / 'modules' / 'order').write_text(
        ''.join(f'{module}\n' for module in order), encoding='ascii'
    )


def _archive(root: Path) -> bytes:
    names = sorted(str(path.relative_to(root)) for path in root.glob('**/*'))
    return subprocess.run(
        ['cpio', '--create', '--format=newc', '--quiet', '--owner=0:0'],
        cwd=root,
        input='\n'.join(names).encode(),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout


def _run(argv: Sequence[str], *, cwd: Path | None = None) -> str:
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, 'LC_ALL': 'C.UTF-8'},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoImage(f'{" ".join(argv)}: {done.stderr.strip()}')
    return done.stdout
