"""What the exporter "iscsi-tgt" asks of a target daemon: a tiny seam.

Two things about tgt have to be known by whoever calls:

* A target without a bound account asks nobody for a secret. One without an
  admitted initiator lets nobody in.
* The accounts of a target stand in a row. Unbound anywhere but at its end,
  an account leaves a gap: those behind it are not found any more, and asking
  the daemon for its targets kills it (1.0.85).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Protocol


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A host's open connection to a target."""

    session_id: int
    connection_id: int
    initiator: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The logical unit of a target: a volume.

    :param serial: what hosts tell it by, on any path; up to 36 characters.
    :param has_discard: whether hosts may give space back.
    """

    path: str
    serial: str
    has_discard: bool


class TargetControl(Protocol):
    """Directs a target daemon. Safe from any thread.

    Each method is idempotent: what is so already is fine.

    :raises BackendUnavailable: from any method: it does not answer.
    :raises BackendBusy: from any method: not as long as there is I/O.
    :raises BackendError: from any method: it refuses.
    """

    def portals(self) -> Collection[str]:
        """Return the addresses it listens on, as ``192.0.2.1:3260``."""

    def targets(self) -> Mapping[str, int]:
        """Return its targets, by name, with their numbers."""

    def add_target(self, number: int, name: str) -> None:
        """Make a target. Neither number nor name may be taken."""

    def remove_target(self, number: int) -> None:
        """Remove a target and its unit; it must have no session."""

    def add_unit(self, number: int, unit: Unit) -> None:
        """Have a target serve a file, as its unit 1."""

    def add_account(self, account: str, secret: str) -> None:
        """Make an account, which opens nothing yet."""

    def remove_account(self, account: str) -> None:
        """Remove an account that is bound to no target."""

    def bind_account(self, number: int, account: str) -> None:
        """Let an account in at a target, at the end of the row."""

    def unbind_account(self, number: int, account: str) -> None:
        """Let the last account of the row in no longer."""

    def admit(self, number: int, initiator: str) -> None:
        """Let an initiator of this name try to log in."""

    def dismiss(self, number: int, initiator: str) -> None:
        """Let it no longer. What it has open stays open."""

    def sessions(self, number: int) -> Sequence[Session]:
        """Return what is open to a target; nothing if there is none."""

    def close(self, number: int, session: Session) -> None:
        """Have a session end, soon."""
