"""A comparison of both sides that somebody has asked for. Since 1.2."""

from __future__ import annotations

import dataclasses
import datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Resync:
    """What was asked for, and what has become of it.

    It is told, too, as a doorbell: whoever can compare asks whether they are
    to. That is safe to lose.

    :param number: grows by one with each that is asked for.
    :param listener: who compares, or has; empty: nobody yet.
    :param started_at: ``None``: it waits for a listener.
    :param ended_at: ``None``: it has not ended.
    :param volumes: how many the cloud has.
    :param platform_volumes: how many the data centre has.
    :param repaired: how many volumes were not in step, and are set right.
    :param alarmed: for how many findings an alarm is raised.
    :param suspects: how many findings are suspicious if the next comparison
        finds them too.
    """

    number: int
    asked_at: datetime.datetime
    asked_by: str
    listener: str = ''
    started_at: datetime.datetime | None = None
    ended_at: datetime.datetime | None = None
    volumes: int = 0
    platform_volumes: int = 0
    repaired: int = 0
    alarmed: int = 0
    suspects: int = 0


COUNTS = ('volumes', 'platform_volumes', 'repaired', 'alarmed', 'suspects')
"""What is counted when it ends."""
