"""Something that is done every so often, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading

from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)


class Periodic:
    """One thread that acts, pauses, and acts again.

    What an action raises is logged, and the next one comes all the same.

    :param name: of the thread, and of the action in the log.
    :param is_first_at_once: act at the start, and not only after a pause.
    """

    def __init__(
        self,
        name: str,
        action: Callable[[], object],
        *,
        clock: interfaces.Clock,
        interval_s: float,
        is_first_at_once: bool = False,
    ) -> None:
        self._name = name
        self._action = action
        self._clock = clock
        self._interval_s = interval_s
        self._changed = threading.Condition()
        self._stopped = False
        self._hinted = is_first_at_once
        self._thread = threading.Thread(
            target=self._run, name=name, daemon=True
        )

    @property
    def name(self) -> str:
        """Of its thread."""
        return self._name

    def start(self) -> None:
        """Start acting."""
        self._thread.start()

    def hint(self) -> None:
        """Act soon, without waiting for the pause to be over."""
        with self._changed:
            self._hinted = True
            self._changed.notify_all()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Act no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._stopped and not self._hinted:
                    self._clock.wait(self._changed, self._interval_s)
                if self._stopped:
                    return
                self._hinted = False
            try:
                self._action()
            except exceptions.AgentError as exc:
                LOG.warning('%s: put off: %s', self._name, exc)
            except Exception:
                LOG.exception('%s: unexpected error', self._name)
