"""The application over a journal in memory, asked without a server."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import datetime
import json
from typing import Any

from falcon import testing
from oslo_config import cfg

from tests import base
from tests.unit.agent import builders
from virtdc_agent.api import app
from virtdc_agent.api import callers
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import policies
from virtdc_agent.api import rates
from virtdc_agent.api import watching
from virtdc_agent.backends.memory import MemoryBackend
from virtdc_agent.backends.memory_storage import MemoryStranger
from virtdc_agent.clock import FakeClock
from virtdc_agent.contract import events
from virtdc_agent.describing import Describer
from virtdc_agent.exporters.memory import MemoryExporter
from virtdc_agent.exports import Exporters
from virtdc_agent.intake import Intake
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent.limit_history import RecentLimits
from virtdc_agent.manageable import PoolContents
from virtdc_agent import model
from virtdc_agent.pools import Pool
from virtdc_agent.pools import Pools
from virtdc_agent.scheduling import Lane
from virtdc_agent.space import SpaceReader

GIB = builders.GIB
OWN = 'aaaa'
OTHER = 'bbbb'


class Named:
    """Takes the name in a header for its word."""

    challenge = 'Test'

    def __init__(self, callers_: Mapping[str, callers.Caller]) -> None:
        self._callers = callers_

    def authenticate(self, req):
        name = req.get_header('X-Test-Caller')
        if name is None:
            return None
        try:
            return self._callers[name]
        except KeyError:
            raise callers.Unauthenticated('nobody of that name') from None


def platform_caller(*roles: str) -> callers.Caller:
    """Return someone of the data centre itself."""
    return callers.Caller(
        user_id=f'the-{roles[0]}',
        name=roles[0],
        scope=callers.Scope.PLATFORM,
        roles=frozenset(roles),
    )


def project_caller(project_id: str | None, *roles: str) -> callers.Caller:
    """Return someone of a project, as Keystone tells of them."""
    return callers.Caller(
        user_id=f'{project_id}-{roles[0]}',
        name=roles[0],
        scope=callers.Scope.PROJECT,
        project_id=project_id,
        roles=frozenset(roles),
    )


CALLERS = {
    'admin': platform_caller('admin', 'operator', 'reader'),
    'operator': platform_caller('operator', 'reader'),
    'reader': platform_caller('reader'),
    'service': platform_caller('service'),
    'cloud-admin': project_caller(OTHER, 'admin', 'member', 'reader'),
    'own-member': project_caller(OWN, 'member', 'reader'),
    'own-reader': project_caller(OWN, 'reader'),
    'other-member': project_caller(OTHER, 'member', 'reader'),
    'unscoped': project_caller(None, 'member', 'reader'),
    'nothing': project_caller(OWN, 'guest'),
}


class ApiCase(base.TestCase):
    """A test that asks the application as somebody."""

    operations = frozenset(events.Operation)
    settings: Mapping[str, Any] = {}
    max_watchers = 4
    pool_names: tuple[str, ...] = ('',)

    def setUp(self) -> None:
        super().setUp()
        self.clock = FakeClock()
        self.journal = MemoryJournal(agent='a', clock=self.clock)
        self.journal.join()
        self.addCleanup(self.journal.close)
        self.keeping = SqlKeeping(
            self.journal.storage.engine,
            clock=self.clock,
            turn=self.journal.storage.turn,
        )
        self.limits = RecentLimits(self.clock)
        self.backend = MemoryBackend()
        self.watch = watching.Watch(
            self.journal,
            self.clock,
            poll_s=None,
            max_watchers=self.max_watchers,
        )
        self.conf([], default_config_files=[], default_config_dirs=[])
        pools = Pools(
            [
                Pool(
                    name=name,
                    backend=MemoryBackend() if number else self.backend,
                    plugin='memory',
                )
                for number, name in enumerate(self.pool_names)
            ]
        )
        self.space = SpaceReader(pools, clock=self.clock, interval_s=5.0)
        for pool in pools:
            self.space.read(pool)
        describer = Describer(
            agent='a',
            journal=self.journal,
            pools=pools,
            exporters=Exporters({'memory': MemoryExporter()}),
            operations=self.operations,
        )
        self.platform = Platform(
            journal=self.journal,
            keeping=self.keeping,
            intake=Intake(self.journal, max_waiting=50),
            clock=self.clock,
            watch=self.watch,
            authorizer=policies.Authorizer(self.make_enforcer(self.conf)),
            operations=self.operations,
            describe=lambda: describer.describe_lately(self.space),
            pools=self.pool_names,
            exporters=['memory', 'other'],
            manageables=PoolContents(pools),
            limits=self.limits,
        )
        self.app = app.make_application(self.platform, self.make_settings())
        self.client = testing.TestClient(self.app)

    def make_enforcer(self, conf: cfg.ConfigOpts) -> Any:
        return policies.make_enforcer(conf)

    def make_settings(self) -> app.Settings:
        return dataclasses.replace(
            app.Settings(
                authenticators=[Named(CALLERS)],
                requests=rates.Rates(self.clock, per_s=0.0, burst=1),
            ),
            **self.settings,
        )

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        caller: str | None = 'admin',
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        **more: Any,
    ) -> testing.Result:
        """Ask as somebody; what is refused has to be a problem."""
        sent = dict(headers or {})
        if caller is not None:
            sent['X-Test-Caller'] = caller
        if body is not None:
            sent['Content-Type'] = 'application/json'
            more['body'] = json.dumps(body)
        if raw is not None:
            more['body'] = raw
        result = self.client.simulate_request(
            method, path, headers=sent, **more
        )
        self.assertRegex(
            result.headers['X-OpenStack-Request-ID'], '^req-[0-9a-f-]{36}$'
        )
        if result.status_code >= 400 and path != '/healthcheck':
            self.assertEqual(
                'application/problem+json', result.headers['Content-Type']
            )
            self.assertEqual(result.status_code, result.json['status'])
            self.assertEqual(
                result.headers['X-OpenStack-Request-ID'],
                result.json['request_id'],
            )
        return result

    def refused(
        self, status: int, code: str, result: testing.Result
    ) -> dict[str, Any]:
        """Check that a request was refused so; return the problem."""
        self.assertEqual(
            (status, code), (result.status_code, result.json.get('code'))
        )
        return result.json

    def accepted(self, result: testing.Result) -> dict[str, Any]:
        """Check that an event was made; return it."""
        self.assertEqual(202, result.status_code, result.text)
        self.assertEqual(
            f'/v1/events/{result.json["event_id"]}',
            result.headers['Location'],
        )
        self.assertEqual('1', result.headers['Retry-After'])
        self.assertEqual('platform', result.json['origin'])
        return result.json

    def put_volume(
        self, volume_id: str = 'v1', project_id: str = OWN, **values: Any
    ) -> events.Volume:
        """Have a volume in the journal, as if it had been made."""
        self.journal.append(builders.create(volume_id))
        volume = dataclasses.replace(
            builders.volume(volume_id), project_id=project_id, **values
        )
        self.settle(model.PutVolume(volume=volume))
        return volume

    def put_trash(
        self, volume_id: str = 't1', project_id: str = OWN
    ) -> events.TrashedVolume:
        """Have a volume in the trash."""
        volume = self.put_volume(volume_id, project_id)
        event = builders.delete(volume_id)
        self.journal.append(event)
        trashed = events.TrashedVolume(
            volume=volume,
            deleted_at=self.clock.now(),
            until=self.clock.now() + datetime.timedelta(days=1),
            event_id=event.event_id,
            deleted_by=event.requested_by,
            origin=event.origin,
        )
        self.settle(model.DiscardVolume(trashed=trashed))
        return trashed

    def put_snapshot(
        self, snapshot_id: str = 's1', volume_id: str = 'v1', **values: Any
    ) -> events.Snapshot:
        """Have a snapshot in the journal."""
        event = builders.event_of(
            volume_id, events.SnapshotParameters(snapshot_id=snapshot_id)
        )
        self.journal.append(event)
        snapshot = dataclasses.replace(
            events.Snapshot(
                snapshot_id=snapshot_id,
                volume_id=volume_id,
                size_bytes=GIB,
                format=events.Format.RAW,
                created_at=builders.NOW,
                project_id=OWN,
            ),
            **values,
        )
        self.settle(model.PutSnapshot(snapshot=snapshot))
        return snapshot

    def put_file(self, name: str = 'disk.img', size_bytes: int = GIB) -> None:
        """Have something in the first pool that may become a volume."""
        self.backend.storage.manageable[name] = MemoryStranger(
            size_bytes=size_bytes
        )

    def settle(
        self,
        change: model.VolumeChange | None = None,
        *,
        reason: events.Reason | None = None,
        message: str = '',
    ) -> events.Transition:
        """End the next waiting event."""
        claims = [
            *self.journal.claim(Lane.QUICK, 1),
            *self.journal.claim(Lane.COPY, 1),
        ]
        state = events.State.FAILED if reason else events.State.SUCCESS
        return self.journal.settle(
            claims[0],
            model.Outcome(
                state=state, reason=reason, message=message, change=change
            ),
        )

    def count_events(self) -> int:
        """Return how many events there are."""
        return len(self.keeping.get_records(model.RecordQuery()).records)
