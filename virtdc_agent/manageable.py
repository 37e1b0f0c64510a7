"""What lies in the pools and is a volume or a snapshot, or may become one."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import Operation
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.patience import Patience
from virtdc_agent.pools import Pools

Lister = Callable[[str | None, int], Sequence[Manageable]]


class PoolContents:
    """Looks into pools. It waits for their storage. Safe from any thread.

    :raises EventRejected: from any method: there is no such pool, or its
        storage cannot do that.
    :raises BackendError: from any method: the storage cannot say.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    def list_volumes(
        self, pool: str | None, marker: str | None, limit: int
    ) -> model.ManageablePage:
        """Return a page of what is a volume, or may become one."""
        backend = self._backend(pool, Operation.MANAGE)
        return _page(backend.list_manageable, marker, limit)

    def find_volume(
        self, pool: str | None, reference: str
    ) -> Manageable | None:
        """Return what a reference names; see ``Backend.find_manageable``."""
        backend = self._backend(pool, Operation.MANAGE)
        return backend.find_manageable(reference)

    def list_snapshots(
        self, pool: str | None, marker: str | None, limit: int
    ) -> model.ManageablePage:
        """Return a page of what is a snapshot, or may become one."""
        backend = self._backend(pool, Operation.MANAGE_SNAPSHOT)
        return _page(backend.list_manageable_snapshots, marker, limit)

    def find_snapshot(
        self, pool: str | None, reference: str
    ) -> Manageable | None:
        """Return what a reference names, as ``find_volume``."""
        backend = self._backend(pool, Operation.MANAGE_SNAPSHOT)
        return backend.find_manageable_snapshot(reference)

    def _backend(
        self, name: str | None, operation: Operation
    ) -> interfaces.Backend:
        pool = self._pools.choose(name)
        pool.check_offers(operation)
        return pool.backend


def _page(
    list_: Lister, marker: str | None, limit: int
) -> model.ManageablePage:
    found = list_(marker, limit + 1)
    return model.ManageablePage(
        found=found[:limit],
        next_marker=found[limit - 1].reference if len(found) > limit else None,
    )


class PatientContents:
    """Looks into pools without waiting long. Safe from any thread.

    See ``interfaces.Manageables``.
    """

    def __init__(self, contents: PoolContents, patience: Patience) -> None:
        self._contents = contents
        self._patience = patience

    def list_volumes(
        self, pool: str | None, marker: str | None, limit: int
    ) -> model.ManageablePage:
        """See the interface."""
        return self._patience.ask(
            lambda: self._contents.list_volumes(pool, marker, limit)
        )

    def find_volume(
        self, pool: str | None, reference: str
    ) -> Manageable | None:
        """See the interface."""
        return self._patience.ask(
            lambda: self._contents.find_volume(pool, reference)
        )
