"""Where the programs are that a lab starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
import sys


@dataclasses.dataclass(frozen=True, slots=True)
class Installation:
    """A virtual environment with programs and their data files."""

    prefix: Path

    @classmethod
    def current(cls) -> Installation:
        """Return the one that runs this."""
        return cls(Path(sys.prefix))

    def program(self, name: str) -> str:
        """Return the path of a program of this environment."""
        return str(self.prefix / 'bin' / name)

    def etc(self, *parts: str) -> Path:
        """Return the path of a configuration file that a package brings."""
        return self.prefix.joinpath('etc', *parts)
