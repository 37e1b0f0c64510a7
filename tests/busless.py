"""The real agent's service, without a bus: for who is not after that."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from virtdc_agent import interfaces
from virtdc_agent.outbox import Outbox
from virtdc_agent import service


class BuslessService(service.Service):
    """The agent's service, telling a publisher of the caller's.

    Nobody can call it: what it is to do is handed to its journal.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        publisher: interfaces.Publisher,
        **outbox: Any,
    ) -> None:
        super().__init__(conf)
        self._given = publisher
        self._outbox_options = outbox

    @property
    def journal(self) -> interfaces.Journal:
        """Its journal, once it is started."""
        if self._journal is None:
            raise AssertionError('the service has not been started')
        return self._journal

    def _publisher(self) -> interfaces.Publisher:
        return self._given

    def _make_outbox(self, journal: interfaces.Journal) -> Outbox:
        options = {
            'retry_interval_s': 1.0,
            'poll_interval_s': 0.1 if journal.is_shared else None,
            'batch': 100,
            **self._outbox_options,
        }
        return Outbox(
            journal=journal,
            publisher=self._given,
            clock=self._clock,
            **options,
        )

    def _make_server(self, *parts):
        class Nobody:
            def start(self) -> None:
                pass

            def stop(self) -> None:
                pass

        return Nobody()


class Deaf(interfaces.Publisher):
    """Takes every message, and forgets it."""

    def publish(self, notification) -> None:
        """See the interface."""
