"""Cinder's own NFS driver on a folder: a known-good control beside ours.

The driver does not mount what is mounted already, so a bind mount stands in
for an NFS server. Needs root, nfs-common and qemu-utils.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
import subprocess

from tools.lab import cinder
from tools.lab import configuration
from tools.lab import errors
from tools.lab import runfolder

_SERVER = '127.0.0.1'


class NfsControl:
    """An export folder, its mount point, and the backend that uses it."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = 'nfs',
        options: configuration.Options | None = None,
    ) -> None:
        self.export = folder / 'export'
        self._base = folder / 'mounts'
        self._shares = folder / 'shares'
        self.mount_point = mount_point(self._base, self.export)
        self.backend = cinder.Backend(
            name=name,
            options={
                'volume_driver': 'cinder.volume.drivers.nfs.NfsDriver',
                'nfs_shares_config': self._shares,
                'nfs_mount_point_base': self._base,
                'nas_secure_file_operations': False,
                'nas_secure_file_permissions': False,
                'nfs_snapshot_support': True,
                **(options or {}),
            },
        )

    def mount(self) -> None:
        """Mount it; :func:`runfolder.take_down` unmounts.

        :raises LabError: that is not permitted.
        """
        self.export.mkdir(parents=True, exist_ok=True)
        self.mount_point.mkdir(parents=True, exist_ok=True)
        configuration.write(self._shares, f'{_SERVER}:{self.export}\n')
        if runfolder.is_mounted(self.mount_point):
            return
        done = subprocess.run(
            ['mount', '--bind', str(self.export), str(self.mount_point)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise errors.LabError(
                f'Cannot bind-mount {self.export}: {done.stderr.strip()}. '
                'The NFS control needs root.'
            )


def mount_point(base: Path, export: Path) -> Path:
    """Return where the driver looks for the mount of an export."""
    share = f'{_SERVER}:{export}'.encode()
    return base / hashlib.md5(share, usedforsecurity=False).hexdigest()
