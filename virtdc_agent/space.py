"""How full each pool was lately, for those who must not wait for a storage.

A share that hangs may hold a question for ever. Here each pool is asked by a
thread of its own, so that one that hangs is the only one not to be known.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import logging
import threading

from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.periodic import Periodic
from virtdc_agent.pools import Pool
from virtdc_agent.pools import Pools

LOG = logging.getLogger(__name__)

_MISSED = 3
"""After so many intervals without an answer it is not known any more."""
_STOP_S = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    space: model.StorageSpace
    at: datetime.datetime
    monotonic: float


class SpaceReader:
    """Asks all pools every so often. Safe from any thread.

    :param interval_s: how often each is asked.
    """

    def __init__(
        self, pools: Pools, *, clock: interfaces.Clock, interval_s: float
    ) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._answers: dict[str, _Answer] = {}
        self._silent: set[str] = set()
        self._periodic = [
            Periodic(
                f'space {pool.name}'.strip(),
                functools.partial(self.read, pool),
                clock=clock,
                interval_s=interval_s,
                is_first_at_once=True,
            )
            for pool in pools
        ]

    def start(self) -> None:
        """Begin to ask."""
        for one in self._periodic:
            one.start()

    def stop(self) -> None:
        """Ask no more; a thread that a storage holds is left behind."""
        for one in self._periodic:
            one.stop(_STOP_S)

    def read(self, pool: Pool) -> None:
        """Ask a pool, in this thread, and keep what it says."""
        try:
            space = pool.backend.space()
        except exceptions.BackendError as exc:
            with self._lock:
                is_news = pool.name not in self._silent
                self._silent.add(pool.name)
            if is_news:
                LOG.warning(
                    'How full pool %s is, is not known: %s',
                    pool.name or 'default',
                    exc,
                )
            return
        answer = _Answer(
            space=space,
            at=self._clock.now(),
            monotonic=self._clock.monotonic(),
        )
        with self._lock:
            self._answers[pool.name] = answer
            was_silent = pool.name in self._silent
            self._silent.discard(pool.name)
        if was_silent:
            LOG.info('Pool %s says again how full it is.', pool.name)

    def get(self, pool: str) -> model.SpaceReading:
        """Return what a pool has said last; never waits for its storage."""
        with self._lock:
            answer = self._answers.get(pool)
            is_silent = pool in self._silent
        if answer is None:
            return model.SpaceReading()
        age_s = self._clock.monotonic() - answer.monotonic
        return model.SpaceReading(
            space=answer.space,
            read_at=answer.at,
            age_s=age_s,
            is_current=not is_silent and age_s <= _MISSED * self._interval_s,
        )
