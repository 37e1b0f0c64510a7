"""Real small file systems, for what cannot be had otherwise."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import subprocess
import unittest


def mount_small(test: unittest.TestCase, path: Path, size: str) -> None:
    """Mount an empty file system of this size; the test's end unmounts it."""
    _mount(test, path, '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs')


def mount_again(test: unittest.TestCase, source: Path, path: Path) -> None:
    """Mount a folder at another place too."""
    _mount(test, path, '--bind', str(source))


def make_read_only(path: Path) -> None:
    """Let nobody write to a mounted file system any more."""
    _run('mount', '-o', 'remount,ro', str(path))


def unmount(path: Path) -> None:
    """Take a file system away from those who use it."""
    _run('umount', '--lazy', str(path))


def _mount(test: unittest.TestCase, path: Path, *arguments: str) -> None:
    try:
        if os.geteuid() != 0:
            raise PermissionError('only root may mount')
        _run('mount', *arguments, str(path))
    except (OSError, subprocess.CalledProcessError) as exc:
        if os.environ.get('VIRTDC_REQUIRE_SERVICES') == '1':
            raise
        raise unittest.SkipTest(f'cannot mount: {exc}') from exc
    test.addCleanup(_if_mounted(path))


def _if_mounted(path: Path) -> Callable[[], None]:
    def clean_up() -> None:
        if path.is_mount():
            unmount(path)

    return clean_up


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True)
