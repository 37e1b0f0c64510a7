"""What is printed of a run: a line for each step, and their sum."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import textwrap
import time

_WIDTH = 59
"""Of what is said of a step."""


class Report:
    """Steps of one run, in their order.

    :param write: prints a line.
    :param clock: seconds from anywhen.
    """

    def __init__(
        self,
        title: str,
        write: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._write = write
        self._clock = clock
        self._begun = clock()
        self._noted: list[str] = []
        self.passed = 0
        self.failed = 0
        write(f'\n{title}')

    def note(self, text: str) -> None:
        """Have something said of the step that is being taken."""
        self._noted.append(text)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Take a step; an error in it is told, and goes on its way."""
        begun = self._clock()
        self._noted.clear()
        try:
            yield
        except BaseException as exc:
            self.failed += 1
            self._tell('FAILED', begun, what)
            self._write(f'            {type(exc).__name__}: {exc}')
            raise
        self.passed += 1
        self._tell('ok', begun, what)

    def end(self) -> None:
        """Print the sum."""
        self._write(
            f'{self._title}: {self.passed} steps passed, {self.failed} '
            f'failed, {self._clock() - self._begun:.0f} s'
        )

    def _tell(self, how: str, begun: float, what: str) -> None:
        self._write(f'  {how:<6} {self._clock() - begun:6.2f} s  {what}')
        for text in self._noted:
            for line in textwrap.wrap(text, _WIDTH):
                self._write(f'                    {line}')
