"""Sees whether Cinder grows what it was asked to grow, and tells if not."""

from __future__ import annotations

import logging
import threading

from cinder_virtdc.alarms.book import AlarmBook
from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc import exceptions
from cinder_virtdc.listener.router import Ring
from cinder_virtdc.sync import reconcile
from cinder_virtdc.sync.reconcile import Sides
from virtdc_agent.contract import catalogue
from virtdc_agent.contract.events import Volume

LOG = logging.getLogger(__name__)

KIND = catalogue.SIZE_NOT_SYNCHRONISED.kind

PATIENCE = 3
"""So often Cinder is asked before a person is."""
FIRST_LOOK_S = 2.0
"""After so long Cinder has usually done it; then twice as long, and so on."""
LONGEST_LOOK_S = 60.0

MAX_WATCHED = 10_000


class SizeWatch:
    """What the syncer tells; see ``Refused``. Safe from any thread.

    That Cinder has taken an extend says little: its scheduler may still
    refuse it for want of room, and then nothing but the size tells. So the
    volume is looked at again. Refusals raise an alarm; the volume keeps
    being asked for by the comparisons, until Cinder agrees and the alarm is
    cleared.
    """

    def __init__(
        self, client: AgentClient, book: AlarmBook, ring: Ring
    ) -> None:
        self._client = client
        self._book = book
        self._ring = ring
        self._lock = threading.Lock()
        self._asked: dict[str, int] = {}

    def __call__(
        self, sides: Sides, action: reconcile.Action, error: Exception | None
    ) -> None:
        """Take note of what became of an action."""
        if not isinstance(action, reconcile.Grow) or sides.platform is None:
            return
        match error:
            case None:
                self._was_taken(sides, action, sides.platform)
            case exceptions.OverQuota():
                self._raise(
                    sides,
                    action,
                    sides.platform,
                    f'The quota of project {sides.volume.project_id} is too '
                    'small: raise it, and the volume is extended by itself.',
                )

    def settled(self, sides: Sides) -> None:
        """Take note that a volume was looked at and need not grow."""
        volume_id = sides.volume.volume_id
        with self._lock:
            self._asked.pop(volume_id, None)
        if self._book.get(KIND, volume_id) is not None:
            self._client.clear_alarm(KIND, volume_id)

    def _was_taken(
        self, sides: Sides, action: reconcile.Grow, platform: Volume
    ) -> None:
        with self._lock:
            asked = self._asked.get(action.volume_id, 0) + 1
            self._asked[action.volume_id] = asked
            if len(self._asked) > MAX_WATCHED:
                del self._asked[next(iter(self._asked))]
        if asked > PATIENCE:
            self._raise(
                sides,
                action,
                platform,
                "Cinder takes the extend and does not do it: see the volume's "
                "messages and cinder-scheduler's log for the reason.",
            )
        self._ring(
            action.volume_id,
            after_s=min(FIRST_LOOK_S * 2.0 ** min(asked, 10), LONGEST_LOOK_S),
        )

    def _raise(
        self,
        sides: Sides,
        action: reconcile.Grow,
        platform: Volume,
        why: str,
    ) -> None:
        message = (
            f'Volume {action.volume_id} has {platform.size_bytes} bytes in '
            f'the data centre and {sides.volume.size_gib} GiB in the cloud. '
            f'{why}'
        )
        known = self._book.get(KIND, action.volume_id)
        if known is not None and known.message == message:
            return
        try:
            self._client.raise_alarm(
                KIND,
                action.volume_id,
                severity=catalogue.CATALOGUE[KIND].severity,
                message=message,
                details={
                    'name': sides.volume.name[:255],
                    'project_id': sides.volume.project_id,
                    'size_bytes': platform.size_bytes,
                    'size_gib': sides.volume.size_gib,
                },
            )
        except exceptions.VirtDCError as exc:
            LOG.warning('An alarm cannot be raised: %s (%s)', message, exc)
