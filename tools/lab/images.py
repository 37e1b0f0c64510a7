"""Uploading images, as a user would."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
import re
import subprocess

from tools.lab import errors
from tools.lab import installation

_ID = re.compile(r'^[0-9a-f-]{36}$', re.MULTILINE)


def upload(
    environment: Mapping[str, str],
    path: Path,
    *,
    disk_format: str = 'raw',
    is_public: bool = False,
) -> str:
    """Upload a file with the ``openstack`` client; return the image's id.

    :param environment: of a user, as ``Lab.environment``.
    :raises LabError: with what the client said.
    """
    venv = installation.Installation.current()
    done = subprocess.run(
        [
            *(venv.program('openstack'), 'image', 'create'),
            *(['--public'] if is_public else []),
            *('--disk-format', disk_format, '--container-format', 'bare'),
            *('--file', str(path), '-f', 'value', '-c', 'id', path.name),
        ],
        env={**environment, 'PATH': str(venv.prefix / 'bin')},
        capture_output=True,
        text=True,
        check=False,
    )
    found = _ID.findall(done.stdout)
    if done.returncode or not found:
        raise errors.LabError(f'No image from {path}: {done.stderr.strip()}')
    return str(found[-1])
