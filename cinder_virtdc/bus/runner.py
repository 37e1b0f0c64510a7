"""Has one event executed: submits it and waits for its end."""

from __future__ import annotations

import logging

from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.bus.waiter import Waiter
from cinder_virtdc.clock import Clock
from cinder_virtdc import exceptions
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition

LOG = logging.getLogger(__name__)


class EventRunner:
    """Runs events on behalf of callers that cannot go on without them.

    Safe from any thread.

    :param operation_timeout_s: how long an accepted event is waited for.
    """

    def __init__(
        self,
        client: AgentClient,
        waiter: Waiter,
        *,
        clock: Clock,
        operation_timeout_s: float,
    ) -> None:
        self._client = client
        self._waiter = waiter
        self._clock = clock
        self._operation_timeout_s = operation_timeout_s

    def run(self, event: Event) -> Transition:
        """Return the transition with which an event succeeded.

        Blocks until then. When it raises anything but ``OperationFailed``,
        the event may have been executed all the same; it was asked to be
        withdrawn, and the listener tells what becomes of it.

        :raises OperationFailed: it ended as failed.
        :raises OperationTimeout: it has not ended in time.
        :raises EventLost: the agent has forgotten it.
        :raises AgentUnreachable: it could not be handed over.
        :raises AgentRefused: the agent would not take it.
        """
        LOG.debug(
            'Event %s: %s of volume %s',
            event.event_id,
            event.operation,
            event.volume_id,
        )
        with self._waiter.expect(event.event_id):
            try:
                self._waiter.accept(self._client.submit(event))
                final = self._waiter.wait(
                    event.event_id,
                    self._clock.monotonic() + self._operation_timeout_s,
                )
            except exceptions.OperationTimeout:
                self._withdraw(event)
                raise
        if final.state is State.FAILED:
            raise exceptions.OperationFailed(final)
        return final

    def _withdraw(self, event: Event) -> None:
        try:
            self._client.cancel(event.event_id)
        except exceptions.VirtDCError as exc:
            LOG.warning(
                'Event %s (%s of volume %s) is not waited for any more and '
                'could not be withdrawn: %s',
                event.event_id,
                event.operation,
                event.volume_id,
                exc,
            )
