"""Whether a process lives, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable
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
        self._thread: threading.Thread | None = None
        self._ended = False

    def beat(self, within_s: float | None = None) -> None:
        """Say that the calling thread's loop turns.

        :param within_s: when it does so again, at the latest; ``None``: it
            does something that may take as long as it likes.
        """
        self._thread = threading.current_thread()
        self._until = (
            None if within_s is None else self._monotonic() + within_s
        )

    def end(self) -> None:
        """Say that it turns no more, and is not meant to."""
        self._ended = True

    def check(self) -> Check:
        """Say whether the loop lives. One that has not begun does."""
        if self._ended or self._thread is None:
            return Check(self._name, True)
        if not self._thread.is_alive():
            return Check(self._name, False, 'its thread has ended')
        until = self._until
        late_s = 0.0 if until is None else self._monotonic() - until
        if late_s > GRACE_S:
            return Check(
                self._name, False, f'it is {late_s:.0f} s late; it hangs'
            )
        return Check(self._name, True)


class Health:
    """Both answers. Safe from any thread.

    :param readiness: asks what there is to be ready for; must answer soon.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        readiness: Callable[[], Iterable[Check]] = tuple,
    ) -> None:
        self._monotonic = monotonic
        self._pulses: list[Pulse] = []
        self._readiness = readiness

    def pulse(self, name: str) -> Pulse:
        """Return the pulse of another loop."""
        pulse = Pulse(name, self._monotonic)
        self._pulses.append(pulse)
        return pulse

    def be_ready_by(self, readiness: Callable[[], Iterable[Check]]) -> None:
        """Have readiness asked of this."""
        self._readiness = readiness

    def liveness(self) -> Sequence[Check]:
        """Return whether each loop turns: if not, a restart helps."""
        return [pulse.check() for pulse in self._pulses]

    def readiness(self) -> Sequence[Check]:
        """Return whether the work can be done; a restart does not help."""
        return [*self.liveness(), *self._readiness()]
