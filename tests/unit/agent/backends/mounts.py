"""Real small file systems, for what cannot be had otherwise."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import shutil
import subprocess
from typing import NoReturn
import unittest

SHARING_BYTES = 320 * 1024**2
"""The least that mkfs.xfs takes is 300 MiB; few of them are written."""


def mount_small(test: unittest.TestCase, path: Path, size: str) -> None:
    """Mount an empty file system of this size; the test's end unmounts it."""
    _mount(test, path, '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs')


def mount_sharing(
    test: unittest.TestCase | type[unittest.TestCase], path: Path
) -> None:
    """Mount an empty file system whose files can share blocks.

    It lies in memory, so that it is quick.

    :param test: or its class; its end unmounts it.
    """
    _mount_made(
        test, path, 'mkfs.xfs', '-q', '-m', 'reflink=1', size=SHARING_BYTES
    )


def mount_with_small_files(test: unittest.TestCase, path: Path) -> None:
    """Mount an empty file system whose files have at most 16 TiB."""
    _mount_made(test, path, 'mkfs.ext4', '-q', '-F', size=16 * 1024**2)


def _mount_made(
    test: unittest.TestCase | type[unittest.TestCase],
    path: Path,
    *make: str,
    size: int,
) -> None:
    """Mount what ``make`` makes of a file in memory."""
    if shutil.which(make[0]) is None:
        lack(f'{make[0]} is not installed')
    disk = path.with_name(f'{path.name}-disk')
    disk.mkdir()
    _mount(test, disk, '-t', 'tmpfs', 'tmpfs')
    image = disk / 'image'
    with image.open('wb') as file:
        file.truncate(size)
    _run(*make, str(image))
    _mount(test, path, '-o', 'loop', str(image))


def mount_again(test: unittest.TestCase, source: Path, path: Path) -> None:
    """Mount a folder at another place too."""
    _mount(test, path, '--bind', str(source))


def make_read_only(path: Path) -> None:
    """Let nobody write to a mounted file system any more."""
    _run('mount', '-o', 'remount,ro', str(path))


def unmount(path: Path) -> None:
    """Take a file system away from those who use it."""
    _run('umount', '--lazy', str(path))


def _mount(
    test: unittest.TestCase | type[unittest.TestCase],
    path: Path,
    *arguments: str,
) -> None:
    try:
        if os.geteuid() != 0:
            raise PermissionError('only root may mount')
        _run('mount', *arguments, str(path))
    except (OSError, subprocess.CalledProcessError) as exc:
        lack(f'cannot mount: {exc}')
    if isinstance(test, type):
        test.addClassCleanup(_if_mounted(path))
    else:
        test.addCleanup(_if_mounted(path))


def lack(what: str) -> NoReturn:
    """Fail where all must be there, and skip elsewhere."""
    if os.environ.get('VIRTDC_REQUIRE_SERVICES') == '1':
        raise AssertionError(what)
    raise unittest.SkipTest(what)


def _if_mounted(path: Path) -> Callable[[], None]:
    def clean_up() -> None:
        if path.is_mount():
            unmount(path)

    return clean_up


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True)
