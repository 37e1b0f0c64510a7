"""Tells on the bus what has become of alarms: a doorbell, safe to lose."""

from __future__ import annotations

import logging

from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)

_PAGE = 100


class AlarmTeller:
    """Publishes what is new of alarms since it was last asked.

    Whoever has changed them, an agent or a person: it reads the journal. It
    begins with what changes after its making. Each agent tells; a listener
    that hears it twice has a revision to see that by.
    """

    def __init__(
        self, *, alarms: interfaces.Alarms, publisher: interfaces.Publisher
    ) -> None:
        self._alarms = alarms
        self._publisher = publisher
        self._told: int | None = None

    def tell(self) -> None:
        """Publish what is new; what the bus refuses is not told again."""
        if self._told is None:
            self._told = self._alarms.get_alarms(None, 1).revision
        while True:
            notices = self._alarms.get_alarm_notices(self._told, _PAGE)
            for notice in notices:
                self._told = notice.revision
                try:
                    self._publisher.publish(notice)
                except exceptions.PublishFailed as exc:
                    LOG.debug('Alarm %s is not told: %s', notice.kind, exc)
            if len(notices) < _PAGE:
                return
