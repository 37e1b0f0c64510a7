"""Whether a process lives, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import threading

GRACE_S = 30.0
"""A loop may be late by so much: machines stall, and a restart that was not
needed interrupts what runs."""


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    :param message: what is wrong, and empty otherwise.
    """

    name: str
    ok: bool
    message: str = ''


class Pulse:
    """A loop's sign of life. Safe from any thread.

    :param monotonic: seconds that never go back.
    """

    def __init__(self, name: str, monotonic: Callable[[], float]) -> None:
        self._name = name
        self._monotonic = monotonic
        self._until: float | None = None

    def beat(self, within_s: float | None = None) -> None:
        """Say that the loop turns.

        :param within_s: when it does so again, at the latest; ``None``: it
            does something that may take as long as it likes.
        """
        self._until = (
            None if within_s is None else self._monotonic() + within_s
        )

    def check(self) -> Check:
        """Say whether the loop turns. One that has not begun does."""
        until = self._until
        late_s = 0.0 if until is None else self._monotonic() - until
        if late_s > GRACE_S:
            return Check(
                self._name, False, f'it is {late_s:.0f} s late: it hangs'
            )
        return Check(self._name, True)


class Health:
    """Both answers. Safe from any thread.

    :param monotonic: seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._pulses: list[Pulse] = []
        self._threads: Collection[str] = ()
        self._asked: list[Callable[[], Iterable[Check]]] = []
        self._is_ending = False

    def pulse(self, name: str) -> Pulse:
        """Return the pulse of another loop."""
        pulse = Pulse(name, self._monotonic)
        self._pulses.append(pulse)
        return pulse

    def expect(self, threads: Collection[str]) -> None:
        """Have threads of these names looked for; they run by now."""
        self._threads = threads

    def ask(self, readiness: Callable[[], Iterable[Check]]) -> None:
        """Have readiness depend on this, too. It must answer soon."""
        self._asked.append(readiness)

    def end(self) -> None:
        """Say that the process is ending: its threads are meant to."""
        self._is_ending = True

    def liveness(self) -> Sequence[Check]:
        """Return whether each loop turns: if not, a restart helps."""
        if self._is_ending:
            return ()
        running = {thread.name for thread in threading.enumerate()}
        return [
            *(pulse.check() for pulse in self._pulses),
            *(
                Check(name, False, 'its thread has ended')
                for name in self._threads
                if name not in running
            ),
        ]

    def readiness(self) -> Sequence[Check]:
        """Return whether the work can be done; a restart does not help."""
        if self._is_ending:
            return [Check('serving', False, 'it is stopping')]
        return [
            *self.liveness(),
            *(check for asked in self._asked for check in asked()),
        ]
