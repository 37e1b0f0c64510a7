"""Accepts events: what is answered here is in the journal."""

from __future__ import annotations

import logging

from virtdc_agent.contract import codec
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)


class Intake:
    """The one way into the journal, for both sides.

    Safe from any thread.

    :param max_waiting: with so many events waiting no more are accepted.
    """

    def __init__(
        self,
        journal: interfaces.Journal,
        *,
        max_waiting: int,
        meter: interfaces.Meter | None = None,
        trail: interfaces.Trail | None = None,
    ) -> None:
        self._trail = trail or interfaces.Untraced()
        self._journal = journal
        self._max_waiting = max_waiting
        self._meter = meter or interfaces.Meter()

    def receive(self, envelope: object) -> Transition:
        """Accept an event as it came over the bus.

        :raises ContractError: it is not an event that can be understood.
        :raises EventConflict: its id belongs to another event.
        :raises JournalUnavailable: it cannot be kept now.
        """
        return self.submit(codec.decode(envelope, Event))

    def submit(
        self, event: Event, *, unchanged: Volume | None = None
    ) -> Transition:
        """Accept an event; return its latest transition once it is durable.

        The same event again is the same event.

        :param unchanged: its volume as the caller knows it; see
            ``Journal.append``.
        :raises EventConflict: its id belongs to another event.
        :raises VolumeChanged: the volume is another by now.
        :raises JournalUnavailable: it cannot be kept now; nothing of it is.
        """
        with self._trail.step('submit', event):
            return self._submit(event, unchanged)

    def _submit(self, event: Event, unchanged: Volume | None) -> Transition:
        try:
            transition = self._journal.append(
                event,
                max_waiting=self._max_waiting,
                unchanged=unchanged,
            )
        except exceptions.AgentError:
            self._meter.refused(event)
            raise
        self._meter.accepted(event)
        LOG.debug(
            'Accepted event %s: %s of volume %s',
            event.event_id,
            event.operation,
            event.volume_id,
        )
        return transition

    def cancel(self, event_id: str) -> Transition:
        """Withdraw an event; see ``Journal.cancel``."""
        return self._journal.cancel(event_id)
