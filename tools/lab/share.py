"""Shared storage: a file system of its own, where every host expects it.

An XFS in a file, whose files can share blocks. What stands for the network is
a bind mount at the place where os-brick mounts a share: it finds it mounted
already. It has to be a file system of its own, as Nova asks the path whether
it is a mount point. Needs root and xfsprogs.
"""

from __future__ import annotations

from pathlib import Path
import shutil
import subprocess

from tools.lab import errors
from tools.lab import nfs_control
from tools.lab import runfolder

_SIZE_BYTES = 64 * 1024**3


class Share:
    """A share on the machine's own disk. Its space is taken as it is used.

    :param group: whose members may use what is in it; by default nobody's.
    """

    def __init__(self, folder: Path, group: str | None = None) -> None:
        self.pool = folder / 'pool'
        self.base = folder / 'mounts'
        self._disk = folder / 'disk'
        self._group = group
        self._mount_point = nfs_control.mount_point(self.base, self.pool)

    @property
    def mounts(self) -> tuple[str, ...]:
        """What is mounted, in the order in which to unmount."""
        return (str(self._mount_point), str(self.pool))

    def mount(self) -> None:
        """Make and mount it; :func:`runfolder.take_down` unmounts.

        :raises LabError: that is not permitted.
        """
        for folder in (self.pool, self._mount_point):
            folder.mkdir(parents=True, exist_ok=True)
        if not runfolder.is_mounted(self.pool):
            self._disk.unlink(missing_ok=True)
            with self._disk.open('xb') as disk:
                disk.truncate(_SIZE_BYTES)
            _run('mkfs.xfs', '-q', '-m', 'reflink=1', str(self._disk))
            # The loop device goes with the mount.
            _run('mount', '-o', 'loop', str(self._disk), str(self.pool))
        if self._group is not None:
            shutil.chown(self.pool, group=self._group)
            self.pool.chmod(0o2770)
        if not runfolder.is_mounted(self._mount_point):
            _run('mount', '--bind', str(self.pool), str(self._mount_point))


def _run(*arguments: str) -> None:
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as exc:
        raise errors.LabError(
            f'{arguments[0]} is missing: install xfsprogs.'
        ) from exc
    if done.returncode:
        raise errors.LabError(
            f'{" ".join(arguments)}: {done.stderr.strip()}. A share needs '
            'root.'
        )
