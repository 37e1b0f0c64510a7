"""What is done in the data centre reaches the cloud, and back."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import datetime
import subprocess
import sys
import threading
import time
from typing import Any
import uuid

from oslo_config import cfg
import oslo_messaging

from cinder_virtdc.alarms.bus_outlet import BusOutlet
from cinder_virtdc.alarms import reports
from tests.functional import test_bus
from tools.lab import installation
from tools.lab import stack
from virtdc_agent.contract import alarms
from virtdc_agent.contract import catalogue
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract import topics

GIB = 1024**3
CONNECTOR = {'host': 'compute-1', 'ip': '127.0.0.1', 'initiator': ''}
SERVER = '11111111-1111-1111-1111-111111111111'
HEARD = 'drained: it takes no more events'


class SyncCase(test_bus.BusCase):
    """Acts for the data centre: what its console would submit."""

    def made(self, **wanted: Any) -> str:
        """Return a volume that both sides have."""
        volume_id = self.create(**wanted)
        self.wait(volume_id, state='success')
        return volume_id

    def platform(self, volume_id: str, parameters: Any) -> str:
        """Have the data centre do something; return the event's id."""
        event = events.Event(
            event_id=str(uuid.uuid4()),
            operation=events.operation_of(parameters),
            volume_id=volume_id,
            origin=events.Origin.PLATFORM,
            parameters=parameters,
            created_at=datetime.datetime.now(datetime.UTC),
            requested_by=events.Requester(user_id='bob@vdc'),
        )
        answer = self.call('submit', event=codec.encode(event))
        self.assertNotIn('error', answer)
        return event.event_id

    def grow(self, volume_id: str, size_bytes: int) -> str:
        return self.platform(
            volume_id, events.ExtendParameters(size_bytes=size_bytes)
        )

    def delete(self, volume_id: str) -> str:
        return self.platform(volume_id, events.DeleteParameters())

    def wait_size(self, volume_id: str, size_gib: int) -> None:
        """Wait until the cloud shows a size, and is done with it."""
        self.until(
            lambda: (
                self.show(volume_id)['size'] == size_gib
                and self.show(volume_id)['status'] in ('available', 'in-use')
            ),
            60,
            lambda: f'{size_gib} GiB wanted: {self.show(volume_id)}',
        )

    def in_use_gib(self) -> int:
        """Return what the quota says that the project uses."""
        project = self.cloud.url.rpartition('/')[2]
        body = self.cloud.get(f'/os-quota-sets/{project}?usage=True')
        return int(body['quota_set']['gigabytes']['in_use'])

    def attach(self, volume_id: str) -> None:
        """Attach a volume to a host, without Nova."""
        self.act(volume_id, 'os-reserve')
        self.act(volume_id, 'os-initialize_connection', connector=CONNECTOR)
        self.act(
            volume_id,
            'os-attach',
            host_name=CONNECTOR['host'],
            mountpoint='/dev/vdb',
            mode='rw',
        )
        self.wait(volume_id, 'in-use')

    def detach(self, volume_id: str) -> None:
        """Take a volume off its host."""
        self.act(volume_id, 'os-begin_detaching')
        self.act(volume_id, 'os-terminate_connection', connector=CONNECTOR)
        self.act(volume_id, 'os-detach')
        self.wait(volume_id)


class TestResize(SyncCase):
    def test_size_quota_and_usage_agree(self) -> None:
        volume_id = self.made()
        used = self.in_use_gib()
        self.grow(volume_id, 3 * GIB)
        self.wait_size(volume_id, 3)
        self.assertEqual(used + 2, self.in_use_gib())
        self.wait(volume_id, state='success', operation='extend')
        self.assertEqual(3 * GIB, self.file_of(volume_id).stat().st_size)

    def test_between_two_gib_both_sides_become_whole(self) -> None:
        volume_id = self.made()
        self.grow(volume_id, GIB * 3 // 2)
        self.wait_size(volume_id, 2)
        self.assertEqual(2 * GIB, self.file_of(volume_id).stat().st_size)

    def test_an_attached_volume(self) -> None:
        volume_id = self.made()
        self.attach(volume_id)
        self.grow(volume_id, 2 * GIB)
        self.wait_size(volume_id, 2)
        self.assertEqual('in-use', self.show(volume_id)['status'])
        self.detach(volume_id)

    def test_a_failure_leaves_the_size_and_says_why(self) -> None:
        volume_id = self.made(size=2)
        self.grow(volume_id, GIB)  # volumes never shrink
        shown = self.wait(
            volume_id, state='failed', operation='extend', reason='rejected'
        )
        self.assertEqual(2, shown['size'])
        self.assertIn('cannot shrink', shown['metadata']['virtdc.message'])

    def test_while_it_is_open_users_are_kept_away(self) -> None:
        volume_id = self.made()
        with Drained(self):
            self.grow(volume_id, 2 * GIB)
            shown = self.wait(
                volume_id, 'attaching', state='waiting', operation='extend'
            )
            self.assertEqual('0 %', shown['metadata']['virtdc.progress'])
            for method, path, body in (
                (
                    'POST',
                    f'/volumes/{volume_id}/action',
                    {'os-extend': {'new_size': 9}},
                ),
                ('DELETE', f'/volumes/{volume_id}', None),
                (
                    'POST',
                    '/attachments',
                    {
                        'attachment': {
                            'volume_uuid': volume_id,
                            'instance_uuid': SERVER,
                        }
                    },
                ),
            ):
                self.assertEqual(
                    400, self.cloud.ask(method, path, body).status
                )
        self.wait_size(volume_id, 2)
        self.assertNotIn('virtdc.held', self.wait(volume_id)['metadata'])


class TestFullPool(SyncCase):
    def pool_of(self) -> Mapping[str, Any]:
        """Return what the scheduler thinks of the pool."""
        body = self.cloud.get('/scheduler-stats/get_pools?detail=true')
        found: Mapping[str, Any] = body['pools'][0]['capabilities']
        return found

    def configure(self, ratio: float) -> None:
        self.agent.service.stop()
        self.agent.reconfigure(
            {'backend_file': {'max_over_subscription_ratio': ratio}}
        )
        self.agent.service.start()
        self.until(
            lambda: (
                float(self.pool_of()['max_over_subscription_ratio']) == ratio
            ),
            60,
            lambda: str(self.pool_of()),
        )

    def test_growth_is_not_counted_twice(self) -> None:
        self.configure(1.0)
        self.addCleanup(self.configure, 20.0)
        volume_id = self.made()
        pool = self.pool_of()
        usable = pool['total_capacity_gb'] * (
            100 - int(pool['reserved_percentage'])
        )
        left_gib = int(usable / 100 - pool['provisioned_capacity_gb'])
        self.made(size=left_gib - 4)
        self.listener.service.stop()
        try:
            # 3 of some 4 GiB: for as many again there is no room.
            self.grow(volume_id, 4 * GIB)
            self.until(
                lambda: self.file_of(volume_id).stat().st_size == 4 * GIB,
                20,
                lambda: 'it did not grow',
            )
            # Until the scheduler has heard of the pool twice since.
            for _ in range(2):
                heard = self.pool_of()['timestamp']
                self.until(
                    lambda heard=heard: self.pool_of()['timestamp'] != heard,
                    30,
                    lambda: 'no statistics come',
                )
        finally:
            self.listener.service.start()
        self.wait_size(volume_id, 4)


class TestDelete(SyncCase):
    def test_the_record_is_kept_and_says_why(self) -> None:
        volume_id = self.made(metadata={'mine': 'kept'})
        self.delete(volume_id)
        shown = self.wait(
            volume_id,
            'error',
            state='success',
            operation='delete',
            alarm='volume-deleted',
        )
        self.assertEqual('kept', shown['metadata']['mine'])
        self.assertIn('Deleted', shown['metadata']['virtdc.alarm_message'])
        self.assertEqual(
            400,
            self.cloud.ask(
                'POST',
                '/attachments',
                {
                    'attachment': {
                        'volume_uuid': volume_id,
                        'instance_uuid': SERVER,
                    }
                },
            ).status,
        )
        used = self.in_use_gib()
        # To forget it is to delete it.
        self.cloud.delete(f'/volumes/{volume_id}')
        self.wait_gone(volume_id)
        self.assertEqual(used - 1, self.in_use_gib())

    def test_a_failure_leaves_the_volume_usable(self) -> None:
        volume_id = self.made()
        self.attach(volume_id)
        self.delete(volume_id)
        shown = self.wait(
            volume_id, 'in-use', state='failed', operation='delete'
        )
        self.assertIn('compute-1', shown['metadata']['virtdc.message'])
        self.assertNotIn('virtdc.alarm', shown['metadata'])
        self.detach(volume_id)


class TestEdit(SyncCase):
    def edit(self, volume_id: str, **wanted: Any) -> str:
        return self.platform(volume_id, events.EditParameters(**wanted))

    def in_the_data_centre(self, volume_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call('get_volume', volume_id=volume_id)[
            'item'
        ]['data']
        return found

    def wait_said(self, volume_id: str, **wanted: Any) -> None:
        """Wait until the cloud says so of a volume."""

        def said() -> dict[str, Any]:
            shown = self.show(volume_id)
            mine = {
                key: value
                for key, value in shown['metadata'].items()
                if not key.startswith('virtdc.')
            }
            return {**shown, 'metadata': mine}

        self.until(
            lambda: all(said()[key] == value for key, value in wanted.items()),
            60,
            lambda: f'{wanted} wanted: {said()}',
        )

    def test_an_edit_in_the_data_centre(self) -> None:
        volume_id = self.made(metadata={'mine': '1', 'old': '2'})
        self.edit(
            volume_id,
            name='new name',
            description='Said there.',
            metadata={'mine': '3', 'more': ''},
        )
        self.wait_said(
            volume_id,
            name='new name',
            description='Said there.',
            metadata={'mine': '3', 'more': ''},
        )
        self.wait(volume_id, state='success', operation='edit')
        before = self.call('get_changes', after=0, limit=1)['last']
        # The next comparison finds nothing to send back.
        time.sleep(12)
        events_of = [
            item['data']
            for item in self.call('get_changes', after=before, limit=1000)[
                'items'
            ]
            if item['data']['volume_id'] == volume_id
        ]
        self.assertEqual([], events_of)

    def test_an_edit_in_the_cloud(self) -> None:
        volume_id = self.made()
        self.cloud.ask(
            'PUT',
            f'/volumes/{volume_id}',
            {'volume': {'name': 'from above', 'description': 'Words.'}},
        )
        self.until(
            lambda: self.in_the_data_centre(volume_id)['name'] == 'from above',
            60,
            lambda: str(self.in_the_data_centre(volume_id)),
        )
        there = self.in_the_data_centre(volume_id)
        self.assertEqual('Words.', there['description'])
        self.assertEqual('cloud', there['changed_by'])
        self.assertFalse(
            [key for key in there['metadata'] if key == 'virtdc.state']
        )
        self.wait(volume_id, state='success', operation='edit')

    def test_both_sides_edit_while_nobody_listens(self) -> None:
        volume_id = self.made()
        self.listener.service.stop()
        try:
            self.cloud.ask(
                'PUT', f'/volumes/{volume_id}', {'volume': {'name': 'above'}}
            )
            self.edit(volume_id, name='below')
        finally:
            self.listener.service.start()
        self.wait_said(volume_id, name='below')
        self.until(
            lambda: (
                'above'
                in self.show(volume_id)['metadata'].get('virtdc.conflict', '')
            ),
            30,
            lambda: str(self.show(volume_id)),
        )
        self.assertIn('Both sides', self.listener.service.log_text())


class TestRemedies(SyncCase):
    def lost(self, **wanted: Any) -> str:
        volume_id = self.made(**wanted)
        self.delete(volume_id)
        self.wait(volume_id, 'error', alarm='volume-deleted')
        return volume_id

    def manage(self, *words: str) -> str:
        """Run ``cinder-virtdc-manage``; return what it prints."""
        done = subprocess.run(
            [
                sys.executable,
                *('-W', 'ignore', '-m', 'cinder_virtdc.cmd.manage'),
                *('--config-file', str(self.listener.conf)),
                *words,
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout

    def test_restore(self) -> None:
        volume_id = self.lost()
        self.assertIn(volume_id, self.manage('alarm', 'list'))
        self.manage('alarm', 'restore', volume_id)
        shown = self.wait(volume_id)
        self.assertNotIn('virtdc.alarm', shown['metadata'])
        self.assertTrue(self.file_of(volume_id).exists())
        self.assertNotIn(volume_id, self.manage('alarm', 'list'))

    def test_recreate(self) -> None:
        volume_id = self.lost(size=2)
        self.manage('alarm', 'recreate', volume_id)
        self.wait(volume_id)
        self.assertEqual(2 * GIB, self.file_of(volume_id).stat().st_size)

    def wait_logged(self, words: str) -> None:
        self.until(
            lambda: words in self.listener.service.log_text(),
            30,
            lambda: f'the log says nothing of {words}',
        )

    def test_acknowledge_and_forget(self) -> None:
        volume_id = self.lost()
        # What happens to an alarm before it is told is told as one.
        self.wait_logged(f'volume-deleted raised (major, {volume_id}')
        self.manage(
            *('alarm', 'ack', 'volume-deleted', volume_id),
            *('--comment', 'Seen.'),
        )
        self.wait_logged(f'volume-deleted acknowledged (major, {volume_id}')
        self.manage('alarm', 'forget', volume_id)
        self.wait_gone(volume_id)
        self.until(
            lambda: volume_id not in self.manage('alarm', 'list'),
            60,
            lambda: 'the alarm stays',
        )

    def test_a_comparison_by_hand(self) -> None:
        self.made()
        self.assertIn('Compared', self.manage('resync', '--dry-run'))


class TestFaults(SyncCase):
    def edit(self, volume_id: str) -> None:
        self.platform(
            volume_id,
            events.EditParameters(name='below', metadata={'mine': '2'}),
        )

    def wait_edited(self, volume_id: str) -> None:
        def said() -> tuple[object, object]:
            shown = self.show(volume_id)
            return shown['name'], shown['metadata'].get('mine')

        self.until(lambda: said() == ('below', '2'), 60, lambda: str(said()))

    def changes(self) -> Callable[[], None]:
        """Begin one of each; return what sees to their ends."""
        grown, edited, gone = self.made(), self.made(), self.made()
        self.grow(grown, 2 * GIB)
        self.edit(edited)
        self.delete(gone)

        def check() -> None:
            self.wait_size(grown, 2)
            self.wait_edited(edited)
            self.wait(gone, 'error', alarm='volume-deleted', timeout_s=90)

        return check

    def test_the_listener_is_down(self) -> None:
        grown, edited, gone = self.made(), self.made(), self.made()
        self.listener.service.stop()
        try:
            self.grow(grown, 2 * GIB)
            self.edit(edited)
            self.delete(gone)
            self.until(
                lambda: not self.file_of(gone).exists(), 20, lambda: 'is there'
            )
        finally:
            self.listener.service.start()
        self.wait_size(grown, 2)
        self.wait_edited(edited)
        self.wait(gone, 'error', alarm='volume-deleted')

    def test_the_listener_is_killed_in_the_middle(self) -> None:
        check = self.changes()
        self.listener.service.kill()
        self.listener.service.start()
        check()

    def test_the_clouds_api_is_down(self) -> None:
        grown, edited, gone = self.made(), self.made(), self.made()
        api = self.lab.cinder.api
        api.stop()
        try:
            self.grow(grown, 2 * GIB)
            self.edit(edited)
            self.delete(gone)
            self.until(
                lambda: not self.file_of(gone).exists(), 20, lambda: 'is there'
            )
        finally:
            api.start()
        self.wait_size(grown, 2)
        self.wait_edited(edited)
        self.wait(gone, 'error', alarm='volume-deleted', timeout_s=90)

    def test_the_agent_is_restarted(self) -> None:
        check = self.changes()
        self.agent.service.kill()
        self.agent.service.start()
        check()

    def test_the_agent_is_killed_in_deletions_and_restorations(self) -> None:
        """At whatever step it was with each."""
        volumes = [self.made() for _ in range(3)]
        for volume_id in volumes:
            self.delete(volume_id)
        self.agent.service.kill()
        self.agent.service.start()
        for volume_id in volumes:
            self.wait(volume_id, 'error', alarm='volume-deleted', timeout_s=90)
            self.assertFalse(self.file_of(volume_id).exists())
        for volume_id in volumes:
            self.platform(volume_id, events.RestoreParameters())
        self.agent.service.kill()
        self.agent.service.start()
        for volume_id in volumes:
            shown = self.wait(volume_id, operation='restore', state='success')
            self.assertNotIn('virtdc.alarm', shown['metadata'])
            self.assertTrue(self.file_of(volume_id).exists())

    def test_messages_are_lost_repeated_and_mixed_up(self) -> None:
        with Proxy(self) as proxy:
            check = self.changes()
            check()
            self.assertGreater(proxy.dropped, 0)


class Drained:
    """The agent takes nothing while this is entered."""

    def __init__(self, case: SyncCase) -> None:
        self._case = case
        self._lab: stack.Lab = case.lab
        self._agent = case.agent

    def __enter__(self) -> None:
        heard = self._times_heard()
        self._manage('drain')
        # It hears of it when it renews its lease, every 10 s.
        self._case.until(
            lambda: self._times_heard() > heard,
            30,
            lambda: 'the agent has not heard of it',
        )

    def _times_heard(self) -> int:
        return self._agent.service.log_text().count(HEARD)

    def __exit__(self, *error: object) -> None:
        self._manage('resume')

    def _manage(self, verb: str) -> None:
        program = installation.Installation.current().program('virtdc-manage')
        self._lab.supervisor.run(
            f'agent-{verb}',
            [
                program,
                *('--config-file', str(self._agent.conf)),
                *('agent', verb, 'agent'),
            ],
        )


class Proxy:
    """Takes messages off the listener's queue, and gives some back.

    Of those that it gets, one in three is lost; the others are given back
    twice, and the later ones first.
    """

    def __init__(self, case: test_bus.BusCase) -> None:
        self._case = case
        self._held: list[Any] = []
        self._seen: set[str] = set()
        self.dropped = 0
        self._listener = oslo_messaging.get_notification_listener(
            case.notifications,
            [
                oslo_messaging.Target(
                    exchange=topics.EXCHANGE, topic=topics.NOTIFICATION_TOPIC
                )
            ],
            [self],
            executor='threading',
        )

    def __enter__(self) -> Proxy:
        self._listener.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.stop()
        self._listener.wait()

    def info(self, context: Any, *message: Any) -> None:
        payload = message[2]
        key = repr(payload)
        if key in self._seen:
            return
        self._seen.add(key)
        if len(self._seen) % 3 == 0:
            self.dropped += 1
            return
        self._held.append(payload)
        if len(self._held) == 3:
            held, self._held = self._held, []
            for one in [*reversed(held), *held]:
                self._case.notify(one)


class TestAlarmsOnTheBus(SyncCase):
    """Where Ceilometer listens: with oslo.messaging's own listener."""

    def error(self, context: Any, *message: Any) -> None:
        self.heard.append(message)
        self.arrived.set()

    def info(self, context: Any, *message: Any) -> None:
        self.heard.append(message)

    def told(self, volume_id: str) -> list[tuple[str, str]]:
        """Return what was heard of a volume, with its priority."""
        return [
            (event_type.removeprefix('virtdc.alarm.'), payload['state'])
            for _, event_type, payload, _ in self.heard
            if payload['resource_id'] == volume_id
        ]

    def await_told(self, volume_id: str, *changes: str) -> None:
        self.until(
            lambda: self.told(volume_id) == [(one, one) for one in changes],
            30,
            lambda: f'{changes} wanted, not {self.told(volume_id)}',
        )

    def hear(self, topic: str) -> None:
        """Listen to a topic of the cloud's bus."""
        self.heard: list[Any] = []
        self.arrived = threading.Event()
        self.transport = oslo_messaging.get_notification_transport(
            cfg.CONF,
            url=f'{self.lab.rabbitmq.cloud_url}?amqp_durable_queues=true',
        )
        self.addCleanup(self.transport.cleanup)
        listener = oslo_messaging.get_notification_listener(
            self.transport,
            [oslo_messaging.Target(exchange='openstack', topic=topic)],
            [self],
            executor='threading',
        )
        listener.start()
        self.addCleanup(listener.wait)
        self.addCleanup(listener.stop)

    def test_a_life_of_an_alarm(self) -> None:
        """Each change once, from the listener itself."""
        self.hear('virtdc-alarms')
        configured = self.listener.sections

        def restore() -> None:
            self.listener.sections = configured
            self.listener.reconfigure({})
            self.listener.service.restart()

        self.addCleanup(restore)
        self.listener.reconfigure(
            {
                'virtdc': {
                    'alarm_notification_transport_url': (
                        self.lab.rabbitmq.cloud_url
                    ),
                    'alarm_notification_topics': 'virtdc-alarms',
                }
            }
        )
        self.listener.service.restart()
        volume_id = self.made()
        self.delete(volume_id)
        self.await_told(volume_id, 'raised')
        alarm = {'kind': 'volume-deleted', 'subject': volume_id}
        self.call(
            'raise_alarm',
            **alarm,
            severity='critical',
            message='It was deleted, and is missed.',
            details={},
        )
        self.await_told(volume_id, 'raised', 'changed')
        self.call('acknowledge_alarm', **alarm, by='eve', comment='Seen.')
        self.await_told(volume_id, 'raised', 'changed', 'acknowledged')
        self.platform(volume_id, events.RestoreParameters())
        self.await_told(
            volume_id, 'raised', 'changed', 'acknowledged', 'cleared'
        )
        heard = [
            payload
            for _, _, payload, _ in self.heard
            if payload['resource_id'] == volume_id
        ]
        self.assertEqual(1, len({one['alarm_id'] for one in heard}))
        revisions = [one['revision'] for one in heard]
        self.assertEqual(sorted(set(revisions[:3])), revisions[:3])
        project = self.cloud.url.rpartition('/')[2]
        self.assertEqual({project}, {one['tenant_id'] for one in heard})
        self.wait(volume_id)

    def test_a_raised_alarm_is_an_error_of_its_project(self) -> None:
        self.hear('ceilometer')
        now = datetime.datetime.now(datetime.UTC)
        report = reports.report_of(
            alarms.Alarm(
                kind=catalogue.VOLUME_DELETED.kind,
                subject='volume-1',
                severity=alarms.Severity.MAJOR,
                message='It was deleted.',
                raised_at=now,
                updated_at=now,
            ),
            alarms.AlarmChange.RAISED,
            volume={'project_id': 'p', 'size_gib': 1},
        )
        BusOutlet(self.transport, ['ceilometer']).send(report)
        self.assertTrue(self.arrived.wait(30))
        publisher, event_type, payload, _ = self.heard[0]
        self.assertEqual('virtdc.alarm.raised', event_type)
        self.assertIn('.', publisher)
        self.assertEqual('p', payload['tenant_id'])
        self.assertEqual('volume-1', payload['volume_id'])
