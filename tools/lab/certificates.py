"""A certificate for services on loopback, which signs itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
import subprocess

from tools.lab import errors


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Files of a certificate; who trusts ``path`` trusts it alone."""

    path: Path
    key: Path


def make(folder: Path, name: str = '127.0.0.1') -> Certificate:
    """Make a certificate that is good for a day.

    :param folder: made if it is not there; for our eyes alone.
    :param name: the address that it is for.
    :raises LabError: openssl is missing, or fails.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Certificate(path=folder / 'cert', key=folder / 'key')
    try:
        subprocess.run(
            [
                *('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes'),
                *('-keyout', str(made.key), '-out', str(made.path)),
                *('-days', '1', '-subj', f'/CN={name}'),
                *('-addext', f'subjectAltName = IP:{name}'),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
    except OSError as exc:
        raise errors.LabError(f'openssl: {exc}') from exc
    except subprocess.CalledProcessError as exc:
        raise errors.LabError(f'openssl: {exc.stderr}') from exc
    made.key.chmod(0o600)
    return made
