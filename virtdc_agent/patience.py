"""Asks what may never answer, and goes on without an answer."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import threading
from typing import Any, TypeVar

from virtdc_agent import exceptions
from virtdc_agent import interfaces

T = TypeVar('T')


@dataclasses.dataclass(slots=True)
class _Answer:
    is_there: bool = False
    value: Any = None
    error: Exception | None = None


class Patience:
    """Asks in threads of its own, a few at once. Safe from any thread.

    A question that a storage never answers keeps its thread, and none of its
    caller's. As long as ``most`` are held so, no more are asked.

    :param timeout_s: for how long a caller waits for its answer.
    """

    def __init__(
        self, clock: interfaces.Clock, *, timeout_s: float, most: int
    ) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._free = threading.Semaphore(most)

    def ask(self, question: Callable[[], T]) -> T:
        """Return the answer, or raise what the question raises.

        :raises BackendUnavailable: it does not come in time.
        """
        if not self._free.acquire(blocking=False):
            raise exceptions.BackendUnavailable(
                'The storage has not answered earlier questions yet: ask '
                'again later.'
            )
        changed = threading.Condition()
        answer = _Answer()

        def run() -> None:
            try:
                answer.value = question()
            except Exception as exc:
                answer.error = exc
            finally:
                self._free.release()
            with changed:
                answer.is_there = True
                changed.notify_all()

        threading.Thread(target=run, name='patience', daemon=True).start()
        until = self._clock.monotonic() + self._timeout_s
        with changed:
            while not answer.is_there:
                left_s = until - self._clock.monotonic()
                if left_s <= 0:
                    raise exceptions.BackendUnavailable(
                        'The storage has not answered in '
                        f'{self._timeout_s:g} s: ask again later.'
                    )
                self._clock.wait(changed, left_s)
        if answer.error is not None:
            raise answer.error
        value: T = answer.value
        return value
