"""A target daemon that only remembers: for tests."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import itertools
import threading

from virtdc_agent import exceptions
from virtdc_agent.exporters.tgt_control import Session
from virtdc_agent.exporters.tgt_control import Unit


@dataclasses.dataclass(slots=True, kw_only=True)
class MemoryTarget:
    """A target; ``accounts`` is its row, ``None`` a gap in it."""

    name: str
    unit: Unit | None = None
    accounts: list[str | None] = dataclasses.field(default_factory=list)
    initiators: list[str] = dataclasses.field(default_factory=list)
    sessions: list[Session] = dataclasses.field(default_factory=list)


class MemoryTgt:
    """Behaves as tgtd does, also where that is not to one's liking.

    ``calls`` has every call, with its arguments but secrets, in order.

    :param portals: the addresses it says that it listens on.
    """

    def __init__(self, portals: Collection[str] = ('127.0.0.1:3260',)) -> None:
        self._portals = portals
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._fails: dict[str, Exception] = {}
        self.is_up = True
        self.held: set[str] = set()
        """Initiators whose sessions do not end when they are told to."""
        self.calls: list[tuple[object, ...]] = []
        self.by_number: dict[int, MemoryTarget] = {}
        self.secrets: dict[str, str] = {}

    def restart(self) -> None:
        """Forget all, as tgtd does."""
        with self._lock:
            self.is_up = True
            self.by_number.clear()
            self.secrets.clear()

    def fail(self, method: str, error: Exception) -> None:
        """Have the next call of a method raise ``error``."""
        with self._lock:
            self._fails[method] = error

    def succeed(self) -> None:
        """Have no call fail any more."""
        with self._lock:
            self._fails.clear()

    def log_in(
        self, target: str, initiator: str, account: str, secret: str
    ) -> Session | None:
        """Try to log in as a host would.

        :returns: the session, or ``None``: it was refused.
        """
        with self._lock:
            found = [
                one for one in self.by_number.values() if one.name == target
            ]
            if not self.is_up or not found or found[0].unit is None:
                return None
            [one] = found
            if initiator not in one.initiators:
                return None
            bound = sum(name is not None for name in one.accounts)
            if bound and (
                account not in one.accounts[:bound]
                or self.secrets[account] != secret
            ):
                return None
            session = Session(
                session_id=next(self._numbers),
                connection_id=0,
                initiator=initiator,
            )
            one.sessions.append(session)
            return session

    def portals(self) -> Collection[str]:
        """See the seam."""
        with self._lock:
            self._begin('portals')
            return self._portals

    def targets(self) -> Mapping[str, int]:
        """See the seam."""
        with self._lock:
            self._begin('targets')
            if any(None in one.accounts for one in self.by_number.values()):
                self.is_up = False
                self._begin('targets')
            return {one.name: number for number, one in self.by_number.items()}

    def add_target(self, number: int, name: str) -> None:
        """See the seam."""
        with self._lock:
            self._begin('add_target', number, name)
            if number in self.by_number or name in self.targets():
                raise exceptions.BackendError('the target exists')
            self.by_number[number] = MemoryTarget(name=name)

    def remove_target(self, number: int) -> None:
        """See the seam."""
        with self._lock:
            self._begin('remove_target', number)
            if self.sessions(number):
                raise exceptions.BackendBusy('the target has a session')
            self.by_number.pop(number, None)

    def add_unit(self, number: int, unit: Unit) -> None:
        """See the seam."""
        with self._lock:
            self._begin('add_unit', number, unit)
            target = self._find(number)
            target.unit = target.unit or unit

    def add_account(self, account: str, secret: str) -> None:
        """See the seam."""
        with self._lock:
            self._begin('add_account', account)
            self.secrets.setdefault(account, secret)

    def remove_account(self, account: str) -> None:
        """See the seam."""
        with self._lock:
            self._begin('remove_account', account)
            for number in self.by_number:
                self.unbind_account(number, account)
            self.secrets.pop(account, None)

    def bind_account(self, number: int, account: str) -> None:
        """See the seam."""
        with self._lock:
            self._begin('bind_account', number, account)
            if account not in self.secrets:
                raise exceptions.BackendError('there is no such account')
            row = self._find(number).accounts
            if account in row:
                return
            if None in row:
                row[row.index(None)] = account
            else:
                row.append(account)

    def unbind_account(self, number: int, account: str) -> None:
        """See the seam."""
        with self._lock:
            self._begin('unbind_account', number, account)
            row = self._find(number).accounts
            if account not in row:
                return
            row[row.index(account)] = None
            while row and row[-1] is None:
                row.pop()

    def admit(self, number: int, initiator: str) -> None:
        """See the seam."""
        with self._lock:
            self._begin('admit', number, initiator)
            admitted = self._find(number).initiators
            if initiator not in admitted:
                admitted.append(initiator)

    def dismiss(self, number: int, initiator: str) -> None:
        """See the seam."""
        with self._lock:
            self._begin('dismiss', number, initiator)
            admitted = self._find(number).initiators
            if initiator in admitted:
                admitted.remove(initiator)

    def sessions(self, number: int) -> Sequence[Session]:
        """See the seam."""
        with self._lock:
            self._begin('sessions', number)
            target = self.by_number.get(number)
            return [] if target is None else list(target.sessions)

    def close(self, number: int, session: Session) -> None:
        """See the seam."""
        with self._lock:
            self._begin('close', number, session.initiator)
            target = self.by_number.get(number)
            if target and session.initiator not in self.held:
                target.sessions.remove(session)

    def _begin(self, method: str, *arguments: object) -> None:
        self.calls.append((method, *arguments))
        if not self.is_up:
            raise exceptions.BackendUnavailable('the daemon does not answer')
        if method in self._fails:
            raise self._fails.pop(method)

    def _find(self, number: int) -> MemoryTarget:
        try:
            return self.by_number[number]
        except KeyError:
            raise exceptions.BackendError('there is no such target') from None
