"""What a format is to the backend "file"."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
from typing import Protocol

from virtdc_agent.backends.copying import Original
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import interfaces


Lock = Callable[[], contextlib.AbstractContextManager[int]]
"""Holds a volume against what a killed agent may have left running.

Gives a descriptor; the lock is held until it and its copies are closed, those
in child processes too.
"""


class Image(Protocol):
    """How volumes of one format are made, copied, measured and grown.

    Stateless, safe from any thread. A descriptor is of a regular file that
    is open for reading, and for writing where it is to be changed.

    :raises OSError: from any method.
    """

    def check_size(self, size_bytes: int) -> None:
        """Refuse a size that this format cannot have exactly.

        :raises EventRejected: says which it can have.
        """

    def fill(
        self,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> None:
        """Make an empty file a volume that reads as zeros.

        Not synced. When it raises, the file is to be thrown away.
        """

    def fill_from(
        self,
        original: Original,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> None:
        """Make an empty file a volume that begins as another of this format.

        As ``fill``: not synced, and to be thrown away when it raises.

        :param size_bytes: at least the original's; what is more reads as
            zeros.
        :raises ValueError: the original is damaged; says how.
        """

    def measure(self, descriptor: int) -> int:
        """Return a volume's size as its user sees it.

        :raises ValueError: the file is damaged; says how.
        """

    def grow(
        self,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
        lock: Lock,
    ) -> None:
        """Make a volume larger than it is; what is new reads as zeros.

        Asks leave before the first thing that can be seen. Not synced. When
        it raises, the volume is valid.

        :param lock: to be held by children that work on the volume.
        """
