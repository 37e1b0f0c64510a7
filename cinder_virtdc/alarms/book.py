"""The alarms that are raised, as the agent's journal has them."""

from __future__ import annotations

from collections.abc import Sequence
import logging
import threading

from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.sync import deletions
from virtdc_agent.contract.alarms import Alarm

LOG = logging.getLogger(__name__)


class AlarmBook:
    """A copy, as of the last time the agent was asked. Safe from any thread.

    An agent of before 1.2 has no alarms: then it stays empty.
    """

    def __init__(self, client: AgentClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._alarms: dict[tuple[str, str], Alarm] = {}
        self._is_known = False

    @property
    def is_known(self) -> bool:
        """Whether the agent was asked yet; else it is only empty."""
        with self._lock:
            return self._is_known

    @property
    def alarms(self) -> Sequence[Alarm]:
        """All of them."""
        with self._lock:
            return list(self._alarms.values())

    def get(self, kind: str, subject: str) -> Alarm | None:
        """Return an alarm, if it is raised."""
        with self._lock:
            return self._alarms.get((kind, subject))

    def loss_of(self, volume: CloudVolume) -> Alarm | None:
        """Return the alarm that a volume is not there, if one is raised."""
        return self.get(deletions.DELETED, volume.platform_id) or self.get(
            deletions.MISSING, volume.volume_id
        )

    def refresh(self) -> None:
        """Ask the agent.

        :raises VirtDCError: it does not answer; what was known stays.
        """
        try:
            alarms = list(self._client.get_alarms())
        except exceptions.ContractMismatch as exc:
            LOG.debug('The agent has no alarms: %s', exc)
            return
        with self._lock:
            self._alarms = {(one.kind, one.subject): one for one in alarms}
            self._is_known = True
