"""Runs a libvirtd in namespaces of its own; see ``libvirt``.

``python -m tools.lab.libvirt_init <folder> <program> [argument ...]`` makes
namespaces of mounts and of processes. The first process in there puts folders
of ``<folder>`` in the place of libvirt's, hides KVM, starts the program,
collects every process that is left without a parent, and ends as the program
does. Whatever the program had started, the kernel then kills. A TERM is passed
on to the program; a KILL ends all of them.

libvirtd waits for each emulator that it has asked for its capabilities to be
collected; the first process of some machines does that only every few seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
import ctypes
import os
from pathlib import Path
import signal
import subprocess
import sys

PLACES: Mapping[str, str] = {
    'etc': '/etc/libvirt',
    'lib': '/var/lib/libvirt',
    'cache': '/var/cache/libvirt',
    'log': '/var/log/libvirt',
    'run': '/run/libvirt',
}
"""Where libvirt looks for what, by the name of our folder for it."""
_KVM = Path('/dev/kvm')
_CLONE_NEWNS = 0x00020000
_CLONE_NEWPID = 0x20000000
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """See above; return the program's exit status."""
    folder, argv = Path(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID):
        code = ctypes.get_errno()
        raise OSError(code, f'no namespaces: {os.strerror(code)}')
    first = os.fork()
    if first == 0:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        return _first(folder, argv)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(first, signal.SIGTERM))
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) & 0xFF


def _first(folder: Path, argv: list[str]) -> int:
    """Be the first process: the parent of all who have lost theirs."""
    _mount('--make-rprivate', '/')
    _mount('-t', 'proc', 'proc', '/proc')
    for name, place in PLACES.items():
        # A folder of /run may be gone since the package was installed.
        Path(place).mkdir(parents=True, exist_ok=True)
        _mount('--bind', str(folder / name), place)
    if _KVM.exists():
        # A device that is there, and no use, costs libvirt a new look at the
        # emulator's capabilities with every question.
        nothing = folder / 'no-kvm'
        nothing.touch()
        _mount('--bind', str(nothing), str(_KVM))
    program = subprocess.Popen(argv)
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    while True:
        pid, status = os.wait()
        if pid == program.pid:
            # So that nobody waits for it again.
            program.returncode = os.waitstatus_to_exitcode(status)
            return program.returncode & 0xFF


def _mount(*arguments: str) -> None:
    subprocess.run(['mount', *arguments], check=True, stdin=subprocess.DEVNULL)


if __name__ == '__main__':
    sys.exit(main())
