"""Has the journal forget what need not be kept."""

from __future__ import annotations

import logging

from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)


class Purger:
    """Purges when it is told to. Safe from any thread."""

    def __init__(
        self,
        *,
        keeping: interfaces.JournalKeeping,
        retention: model.Retention,
    ) -> None:
        self._keeping = keeping
        self._retention = retention

    def use(self, retention: model.Retention) -> None:
        """Keep from now on what another configuration says."""
        self._retention = retention

    def purge(self) -> None:
        """Have forgotten what may be.

        :raises JournalUnavailable: nothing, or not all, is forgotten.
        """
        purged = self._keeping.purge(self._retention)
        if purged.events or purged.transitions:
            LOG.debug(
                'Purged %d events and %d transitions.',
                purged.events,
                purged.transitions,
            )
