"""Tells on the bus that a comparison is wanted: a doorbell, safe to lose."""

from __future__ import annotations

import logging

from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)


class ResyncTeller:
    """Publishes each comparison that is asked for, once it has read of it.

    Whoever has asked for it, over any agent's API: it reads the journal. Each
    agent tells; one of the listeners compares.
    """

    def __init__(
        self, *, resyncs: interfaces.Resyncs, publisher: interfaces.Publisher
    ) -> None:
        self._resyncs = resyncs
        self._publisher = publisher
        self._told = 0

    def tell(self) -> None:
        """Publish what is new; what the bus refuses is not told again."""
        latest = self._resyncs.get_resync()
        if latest is None or latest.number <= self._told:
            return
        self._told = latest.number
        if latest.started_at is not None:
            return
        try:
            self._publisher.publish(latest)
        except exceptions.PublishFailed as exc:
            LOG.debug('Resync %d is not told: %s', latest.number, exc)
