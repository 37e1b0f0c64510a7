"""Makes the comparison that somebody has asked the data centre for."""

from __future__ import annotations

from collections.abc import Callable
import logging

from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.listener.comparison import Report

LOG = logging.getLogger(__name__)

LEASE_S = 600
"""After so long another listener begins what one that died has not ended."""


class Commanded:
    """Takes, compares, and says what it has found. For one thread.

    Of several listeners one does. What one has not ended, as Cinder could not
    be asked or as it has died, is begun anew.

    :param listener: names this listener, and this life of it.
    """

    def __init__(self, client: AgentClient, *, listener: str) -> None:
        self._client = client
        self._listener = listener

    def run(self, compare: Callable[[], Report]) -> bool:
        """Do it, if there is anything to do; return whether there was.

        :param compare: makes a comparison.
        :raises VirtDCError: one side cannot be asked; try again later.
        """
        taken = self._client.take_resync(
            listener=self._listener, lease_s=LEASE_S
        )
        if taken is None:
            return False
        report = compare()
        self._client.end_resync(
            taken.number,
            listener=self._listener,
            counts={
                'volumes': report.volumes,
                'platform_volumes': report.platform_volumes,
                'repaired': len(report.actions),
                'alarmed': len(report.verdict.raised),
                'suspects': len(report.verdict.suspects),
            },
        )
        LOG.info(
            'Compared both sides, as %s has asked for: %d of %d volumes were '
            'not in step.',
            taken.asked_by or 'somebody',
            len(report.actions),
            report.volumes,
        )
        return True
