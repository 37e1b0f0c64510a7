"""Waits for changes on behalf of clients that follow them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import threading

from virtdc_agent.api import problems
from virtdc_agent.contract.events import Transition
from virtdc_agent import interfaces

Wanted = Callable[[Transition], bool]
_SCAN = 1000
"""How many transitions are read at a time while looking for wanted ones."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What has happened.

    :param transitions: those that were wanted, in order.
    :param position: where to go on: all up to here has been looked at.
    :param last: the latest sequence of all.
    """

    transitions: Sequence[Transition]
    position: int
    last: int


class Watch:
    """Has threads wait until the journal has grown. Safe from any thread.

    It holds a bounded number of them: each is a thread that serves nobody
    else meanwhile.

    :param poll_s: how often to look for what other processes wrote;
        ``None``: nobody else writes.
    :param max_watchers: how many may wait at once.
    """

    def __init__(
        self,
        journal: interfaces.Journal,
        clock: interfaces.Clock,
        *,
        poll_s: float | None,
        max_watchers: int,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._poll_s = poll_s
        self._max_watchers = max_watchers
        self._changed = threading.Condition()
        self._changes = 0
        self._watchers = 0
        self._closed = False
        journal.subscribe(self._hint)

    def use(self, max_watchers: int) -> None:
        """Admit so many from now on; those that are there may stay."""
        with self._changed:
            self._max_watchers = max_watchers

    @property
    def watchers(self) -> int:
        """How many are admitted now."""
        with self._changed:
            return self._watchers

    @property
    def is_closed(self) -> bool:
        """Whether nobody waits any more."""
        with self._changed:
            return self._closed

    def close(self) -> None:
        """Have all that wait return at once, and nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold a place among those that may wait.

        :raises Problem: there is none left.
        """
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def enter(self) -> None:
        """Take a place; see ``admitted``."""
        with self._changed:
            if self._closed:
                raise problems.busy('stopping', 'The agent is stopping.')
            if self._watchers >= self._max_watchers:
                raise problems.busy(
                    'too-many-watchers',
                    f'{self._max_watchers} clients follow changes already: '
                    'ask again later, or without waiting.',
                )
            self._watchers += 1

    def leave(self) -> None:
        """Give a place back."""
        with self._changed:
            self._watchers -= 1

    def last(self) -> int:
        """Return the latest sequence of all."""
        return self._journal.count().sequence

    def read(self, after: int, limit: int, wanted: Wanted) -> Batch:
        """Return up to ``limit`` of what has happened, without waiting.

        :raises Problem: what follows ``after`` is not kept any more, or
            ``after`` is of another journal.
        """
        position = after
        while True:
            size = max(limit, _SCAN)
            changes = self._journal.get_changes(position, size)
            if position > changes.last:
                raise _gone(
                    f'There is no change {position} here; the last is '
                    f'{changes.last}'
                )
            if position + 1 < changes.oldest:
                raise _gone(
                    f'Changes after {position} are not kept any more; the '
                    f'oldest is {changes.oldest}'
                )
            found = []
            for transition in changes.transitions:
                position = transition.sequence
                if wanted(transition):
                    found.append(transition)
                    if len(found) == limit:
                        break
            if found or len(changes.transitions) < size:
                return Batch(
                    transitions=found, position=position, last=changes.last
                )

    def wait(
        self, after: int, limit: int, wanted: Wanted, timeout_s: float
    ) -> Batch:
        """Return what has happened, or will within a time.

        The caller was admitted.

        :raises Problem: see ``read``.
        """
        until = self._clock.monotonic() + timeout_s
        while True:
            with self._changed:
                seen = self._changes
            batch = self.read(after, limit, wanted)
            if batch.transitions:
                return batch
            after = batch.position
            if not self._await_hint(seen, until):
                return batch

    def _await_hint(self, seen: int, until: float) -> bool:
        """Wait until there may be more; return whether to look again."""
        with self._changed:
            while not self._closed:
                remaining_s = until - self._clock.monotonic()
                if remaining_s <= 0:
                    return False
                if self._changes != seen:
                    return True
                if self._poll_s is None:
                    self._clock.wait(self._changed, remaining_s)
                    continue
                self._clock.wait(self._changed, min(remaining_s, self._poll_s))
                return True
            return False

    def _hint(self) -> None:
        with self._changed:
            self._changes += 1
            self._changed.notify_all()


def _gone(detail: str) -> problems.Problem:
    return problems.Problem(
        410,
        'changes-gone',
        f'{detail}: read everything anew, then follow from there.',
    )
