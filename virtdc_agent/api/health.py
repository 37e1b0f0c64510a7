"""Whether the agent lives, and whether it is of use: for who starts it, and
for who sends it requests.
"""

from __future__ import annotations

import dataclasses
import logging
import threading

import falcon

from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import schemas
from virtdc_agent import exceptions

LOG = logging.getLogger(__name__)

_FRESH_S = 1.0


class JournalCheck:
    """Asks the journal, but not more often than is of use."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._lock = threading.Lock()
        self._at = float('-inf')
        self._ok = False

    def is_ok(self) -> bool:
        """Say whether the journal answers, or did a second ago."""
        with self._lock:
            now = self._platform.clock.monotonic()
            if now - self._at < _FRESH_S:
                return self._ok
            try:
                self._platform.journal.count()
                self._ok = True
            except exceptions.JournalUnavailable as exc:
                LOG.warning('Not ready: %s', exc)
                self._ok = False
            self._at = now
            return self._ok


@dataclasses.dataclass(frozen=True, slots=True)
class Ready:
    """Whether requests can be met."""

    platform: Platform
    journal: JournalCheck
    is_public: bool = True

    @actions.described(
        Action(
            name='getReadiness',
            summary='See whether requests can be met: for load balancers',
            tag='health',
            answer=Answer(schema='Health'),
            problems={503: 'not now'},
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say so."""
        checks = [
            {'name': 'journal', 'ok': self.journal.is_ok()},
            {'name': 'serving', 'ok': not self.platform.watch.is_closed},
        ]
        ok = all(check['ok'] for check in checks)
        resp.status = 200 if ok else 503
        resp.media = {
            'status': 'ok' if ok else 'unavailable',
            'checks': checks,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Alive:
    """Whether the process lives."""

    is_public: bool = True

    @actions.described(
        Action(
            name='getLiveness',
            summary='See whether the process lives: for who restarts it',
            tag='health',
            answer=Answer(schema='Health'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say so: who can answer lives."""
        resp.media = {'status': 'ok', 'checks': []}
