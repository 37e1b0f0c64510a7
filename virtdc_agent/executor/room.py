"""Room that running operations have been promised but not yet taken."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import threading

from virtdc_agent import capacity
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import model
from virtdc_agent.pools import Pool
from virtdc_agent.pools import Pools


class Room:
    """Keeps concurrent operations from promising a pool's room twice.

    Each sees the journal's sum of sizes as it was before any of the others
    ended, so what they have been promised is added here. Safe from any
    thread.

    :param space: asks the backend for its storage's size.
    :param provisioned: asks the journal for the sum of sizes.
    """

    def __init__(
        self,
        space: Callable[[], model.StorageSpace],
        provisioned: Callable[[], int],
    ) -> None:
        self._space = space
        self._provisioned = provisioned
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
            capacity.check_room(
                model.StorageSpace(
                    total_bytes=space.total_bytes,
                    free_bytes=max(0, space.free_bytes - self._promised_thick),
                    max_over_subscription_ratio=(
                        space.max_over_subscription_ratio
                    ),
                    reserved_percentage=space.reserved_percentage,
                ),
                self._provisioned() + self._promised,
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


class Rooms:
    """The room in each pool. Safe from any thread.

    :param count: asks the journal how much there is.
    """

    def __init__(
        self, pools: Pools, count: Callable[[], model.Counts]
    ) -> None:
        self._rooms = {
            pool.name: Room(
                pool.backend.space,
                lambda pool=pool: (  # type: ignore[misc]
                    pools.counts_of(pool, count()).provisioned_bytes
                ),
            )
            for pool in pools
        }

    def reserve(
        self, pool: Pool, size_bytes: int, provisioning: Provisioning
    ) -> contextlib.AbstractContextManager[None]:
        """Hold room in a pool; see ``Room.reserve``."""
        return self._rooms[pool.name].reserve(size_bytes, provisioning)
