"""Room that running operations have been promised but not yet taken."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading

from virtdc_agent import capacity
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import model


class Room:
    """Keeps concurrent operations from promising the same room twice.

    Each sees the journal's sum of sizes as it was before any of the others
    ended, so what they have been promised is added here. Safe from any
    thread.

    :param space: asks the backend for its storage's size.
    :param count: asks the journal for the sum of sizes.
    """

    def __init__(
        self,
        space: Callable[[], model.StorageSpace],
        count: Callable[[], model.Counts],
    ) -> None:
        self._space = space
        self._count = count
        self._lock = threading.Lock()
        self._promised = 0
        self._promised_thick = 0

    @contextlib.contextmanager
    def reserve(
        self, size_bytes: int, provisioning: Provisioning
    ) -> Iterator[None]:
        """Hold room for ``size_bytes`` more while the body runs.

        :raises EventRejected: it can never fit as things are.
        :raises BackendError: the storage cannot say how large it is.
        """
        space = self._space()
        thick = size_bytes if provisioning is Provisioning.THICK else 0
        with self._lock:
            counts = self._count()
            capacity.check_room(
                model.StorageSpace(
                    total_bytes=space.total_bytes,
                    free_bytes=max(0, space.free_bytes - self._promised_thick),
                    max_over_subscription_ratio=(
                        space.max_over_subscription_ratio
                    ),
                    reserved_percentage=space.reserved_percentage,
                ),
                counts.provisioned_bytes + self._promised,
                size_bytes,
                provisioning,
            )
            self._promised += size_bytes
            self._promised_thick += thick
        try:
            yield
        finally:
            with self._lock:
                self._promised -= size_bytes
                self._promised_thick -= thick
