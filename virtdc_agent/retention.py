"""Has the journal forget what need not be kept."""

from __future__ import annotations

import logging
import threading

from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)


class Purger:
    """One thread that purges every so often."""

    def __init__(
        self,
        *,
        keeping: interfaces.JournalKeeping,
        retention: model.Retention,
        clock: interfaces.Clock,
        interval_s: float,
    ) -> None:
        self._keeping = keeping
        self._retention = retention
        self._clock = clock
        self._interval_s = interval_s
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(
            target=self._run, name='purge', daemon=True
        )

    def use(self, retention: model.Retention) -> None:
        """Keep from now on what another configuration says."""
        with self._changed:
            self._retention = retention

    def start(self) -> None:
        """Start purging."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Purge no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._stopped:
                    self._clock.wait(self._changed, self._interval_s)
                if self._stopped:
                    return
            try:
                purged = self._keeping.purge(self._retention)
            except exceptions.JournalUnavailable as exc:
                LOG.warning('Nothing is purged for now: %s', exc)
                continue
            except Exception:
                LOG.exception('Unexpected error while purging')
                continue
            if purged.events or purged.transitions:
                LOG.debug(
                    'Purged %d events and %d transitions.',
                    purged.events,
                    purged.transitions,
                )
