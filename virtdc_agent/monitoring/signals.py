"""What is asked of a program from outside: signals, without one being lost."""

from __future__ import annotations

import enum
import os
import signal


class Wish(enum.Enum):
    """What somebody wants of a program that runs."""

    STOP = 'stop'
    RELOAD = 'reload'
    REPORT = 'report'


_WISHES = {
    signal.SIGTERM: Wish.STOP,
    signal.SIGINT: Wish.STOP,
    signal.SIGHUP: Wish.RELOAD,
    signal.SIGUSR2: Wish.REPORT,
}


class Wishes:
    """The wishes that have come by signals, and have not been granted.

    To be made once a process, by its main thread, which is the one to wait.
    A second signal to stop ends the process at once.

    A signal that comes after the interpreter has looked for signals, and
    before it waits for a lock, is not seen until the wait ends: with a queue
    or an event it may be never. So the wait is for a pipe, into which the
    interpreter itself writes the numbers of signals as they come (see
    ``signal.set_wakeup_fd``).
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # What does not fit is as good as said: enough of it is in the pipe.
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._asked: dict[Wish, None] = {}
        self._has_term = False
        self._is_stopping = False
        for number, wish in _WISHES.items():
            signal.signal(
                number, self._on_term if wish is Wish.STOP else _noted
            )

    def wait(self) -> Wish:
        """Wait for a wish, and return it; one that is repeated comes once.

        The wish to stop comes before all others, and for ever.
        """
        while not self._is_stopping and not self._asked:
            for number in os.read(self._reader, 4096):
                wish = _WISHES.get(signal.Signals(number))
                if wish is Wish.STOP:
                    self._is_stopping = True
                elif wish is not None:
                    self._asked[wish] = None
        if self._is_stopping:
            return Wish.STOP
        wish = next(iter(self._asked))
        del self._asked[wish]
        return wish

    def stop(self) -> None:
        """Have it stopped. From any thread."""
        self._is_stopping = True
        try:
            os.write(self._writer, bytes([signal.SIGTERM]))
        except BlockingIOError:
            pass  # What fills the pipe ends the wait as well.

    def _on_term(self, number: int, frame: object) -> None:
        if self._has_term:
            os._exit(1)
        self._has_term = True
        self._is_stopping = True


def _noted(number: int, frame: object) -> None:
    """Do nothing: the interpreter has written it into the pipe."""
