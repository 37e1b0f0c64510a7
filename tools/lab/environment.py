"""Virtual environments beside the one that runs a lab, made on demand.

What cannot be installed beside Cinder, or has no business there, gets one of
its own; it is kept between runs, and made anew when its versions change.
"""

from __future__ import annotations

from collections.abc import Sequence
import hashlib
import importlib.metadata
from pathlib import Path
import sys

from tools.lab import installation
from tools.lab import processes

ROOT = Path(__file__).resolve().parents[2]
STAMP = '.virtdc-stamp'
"""Name of the file that tells of what an environment was made."""
_NEEDS = ('requirements.txt', 'setup.cfg')


class Environment:
    """One such environment.

    :param name: of the step, and of its log.
    :param constraints: file with the versions of everything.
    :param extra: the product too, with one of its extras, from the sources.
    """

    def __init__(
        self,
        supervisor: processes.Supervisor,
        prefix: Path,
        *,
        name: str,
        constraints: Path,
        packages: Sequence[str],
        extra: str = '',
    ) -> None:
        self._supervisor = supervisor
        self._name = name
        self._constraints = constraints
        self._packages = tuple(packages)
        self._extra = extra
        self.installation = installation.Installation(prefix)

    def make(self) -> None:
        """Install what is missing; nothing if all is as it should be."""
        prefix = self.installation.prefix
        stamp = prefix / STAMP
        wanted = self._stamp()
        if stamp.exists() and stamp.read_text(encoding='ascii') == wanted:
            return
        uv = installation.Installation.current().program('uv')
        self._supervisor.run(
            self._name,
            [uv, 'venv', '--quiet', '--allow-existing']
            + ['--python', sys.executable, str(prefix)],
        )
        self._supervisor.run(
            self._name,
            [uv, 'pip', 'install', '--quiet']
            + ['--python', self.installation.program('python')]
            + ['--constraints', str(self._constraints), *self._packages]
            + (
                ['--editable', f'{ROOT}[{self._extra}]'] if self._extra else []
            ),
            # Known here, whether the sources are in git or not.
            {'PBR_VERSION': importlib.metadata.version('virtdc')},
            timeout_s=600.0,
        )
        stamp.write_text(wanted, encoding='ascii')

    def _stamp(self) -> str:
        parts = [
            sys.version.encode(),
            repr(self._packages).encode(),
            self._constraints.read_bytes(),
        ]
        if self._extra:
            # What it needs, and where it is.
            parts += [str(ROOT).encode(), self._extra.encode()]
            parts += [(ROOT / name).read_bytes() for name in _NEEDS]
        return hashlib.sha256(b'\0'.join(parts)).hexdigest()
