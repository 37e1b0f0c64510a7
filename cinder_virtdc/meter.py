"""Where the listener tells what happens, for who counts it."""

from __future__ import annotations

from typing import Protocol


class Meter:
    """Is told what happens, to count it. This one does not.

    Called where it happens, by any thread: it must not wait and not raise.
    """

    def heard(self, kind: str) -> None:
        """Note that a notification was taken."""

    def rejected(self, error: Exception) -> None:
        """Note that a notification was discarded."""

    def gap(self) -> None:
        """Note that a message is missing."""

    def called(self, method: str, *, answered: bool) -> None:
        """Note that the agent was asked."""

    def requested(
        self, method: str, status: int | None, duration_s: float
    ) -> None:
        """Note that Cinder was asked.

        :param status: ``None``: it has not answered.
        """

    def tried(self, task: str, outcome: str, duration_s: float) -> None:
        """Note that something that is done every so often was tried."""

    def compared(self, cloud: int, platform: int, drifted: int) -> None:
        """Note what a comparison of both sides has found."""

    def acted(self, action: str, *, done: bool) -> None:
        """Note that something was done about a volume."""


class Pulse(Protocol):
    """Is told that a loop turns. Safe from any thread."""

    def beat(self, within_s: float | None = None) -> None:
        """Note that it does.

        :param within_s: when it does so again, at the latest; ``None``: it
            does something that may take as long as it likes.
        """


class Unheard:
    """A pulse that nobody looks at."""

    def beat(self, within_s: float | None = None) -> None:
        """See the protocol."""
