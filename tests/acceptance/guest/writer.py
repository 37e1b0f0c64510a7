"""A guest that writes without end, and what it has to say of it after."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

_RECORD = 512


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of it.

    :param failed: numbers of records whose write was not well.
    :param longest_s: the longest time without a finished write.
    """

    records: int
    failed: tuple[int, ...]
    longest_s: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Numbered records, one after the other, each waited for."""

    offset_bytes: int

    STOP = 'touch /tmp/stop; while [ ! -e /tmp/stopped ]; do sleep 0.1; done'
    TELL = 'cat /tmp/written; rm -f /tmp/stop /tmp/stopped /tmp/written'

    def start(self, device: str) -> str:
        """Return a command that begins, and returns at once."""
        first = self.offset_bytes // _RECORD
        return (
            '( n=0; while [ ! -e /tmp/stop ]; do '
            'printf "%-511s\\n" $n | '
            f'dd of={device} bs={_RECORD} seek=$(({first} + n)) '
            'conv=notrunc,fsync status=none; status=$?; '
            'read up rest < /proc/uptime; '
            'echo "$n $status $up" >> /tmp/written; n=$((n + 1)); '
            'done; touch /tmp/stopped ) > /dev/null 2>&1 & true'
        )

    def wrong(self, volume: Path, records: int) -> list[int]:
        """Return the numbers of records that a volume's file has not."""
        with volume.open('rb') as file:
            file.seek(self.offset_bytes)
            content = file.read(records * _RECORD)
        return [
            number
            for number in range(records)
            if content[number * _RECORD : (number + 1) * _RECORD]
            != f'{number:<511}\n'.encode()
        ]


def read(told: str) -> Written:
    """Understand what the guest tells.

    :raises ValueError: it is not what it should tell.
    """
    lines = [line.split() for line in told.splitlines()]
    times = [float(time) for _, _, time in lines]
    return Written(
        records=len(lines),
        failed=tuple(
            int(number) for number, status, _ in lines if status != '0'
        ),
        longest_s=max(
            (after - before for before, after in itertools.pairwise(times)),
            default=0.0,
        ),
    )
