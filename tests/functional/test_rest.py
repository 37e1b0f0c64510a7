"""The data centre's API: Keystone, TLS, the bus, and Cinder behind it."""

from __future__ import annotations

import functools
import http.client
import json
import ssl
import subprocess
from typing import Any

from tests.functional import base
from tools.lab import certificates
from tools.lab import identity
from tools.lab import installation
from tools.lab import ports
from tools.lab import rest
from tools.lab import stack
from tools.lab import virtdc

GIB = base.GIB
PORTS = ports.Ports()


@functools.cache
def secure_lab() -> stack.Lab:
    """Return a cloud whose agent serves its API to Keystone's users."""
    lab = base.start(
        base.settings(
            keystone=True, agent=virtdc.AgentSettings(options=base.DURABLE)
        )
    )
    if lab.agent is None or lab.keystone is None:
        raise AssertionError('the lab has no agent or no Keystone')
    tls = certificates.make(lab.folder / 'tls')
    lab.agent.reconfigure(
        {
            'api': {
                'enabled': True,
                'bind_port': PORTS.take(),
                'auth_strategy': 'keystone',
                'tls_certificate_file': tls.path,
                'tls_key_file': tls.key,
            },
            'keystone_authtoken': lab.keystone.service_sections('cinder')[
                'keystone_authtoken'
            ],
        }
    )
    lab.agent.service.restart()
    return lab


def end_secure_lab() -> None:
    """Make room; whoever needs it again gets another."""
    secure_lab().down()
    secure_lab.cache_clear()


class RestCase(base.CloudCase):
    def get_lab(self) -> stack.Lab:
        return secure_lab()

    def setUp(self) -> None:
        super().setUp()
        if self.lab.keystone is None:
            raise AssertionError('the lab has no Keystone')
        self.keystone = self.lab.keystone
        api = self.agent.sections['api']
        self.port = int(str(api['bind_port']))
        self.trust = ssl.create_default_context(
            cafile=str(api['tls_certificate_file'])
        )

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            '127.0.0.1', self.port, timeout=60, context=self.trust
        )

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str | None = identity.ADMIN,
        **headers: str,
    ) -> rest.Answer:
        """Send a request; the names of headers with underscores."""
        sent = {
            name.replace('_', '-'): value for name, value in headers.items()
        }
        if user is not None:
            sent |= self.keystone.headers(user)
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            sent['Content-Type'] = 'application/json'
        connection = self.connect()
        try:
            connection.request(method, path, content, sent)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return rest.Answer(
            status=answer.status,
            headers={k.lower(): v for k, v in answer.getheaders()},
            body=json.loads(text) if text else None,
        )

    def end_of(self, answer: rest.Answer) -> Any:
        """Return an accepted event once it has ended, by long polls."""
        self.assertEqual(202, answer.status, answer.body)
        location = answer.headers['location']
        path = location[location.index('/v1/') :]

        def is_final() -> bool:
            nonlocal shown
            shown = self.ask('GET', path).body
            return shown['state'] in ('success', 'failed')

        shown: Any = None
        self.until(is_final, 30, lambda: str(shown))
        return shown


class TestRest(RestCase):
    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        end_secure_lab()

    def test_a_life_of_a_volume(self) -> None:
        """On real storage, with everyone watching."""
        before = self.ask('GET', '/v1/events?limit=1').body
        body = {'name': 'from here', 'size_bytes': GIB}
        answer = self.ask(
            'POST', '/v1/volumes', body, Idempotency_Key='a-life'
        )
        again = self.ask('POST', '/v1/volumes', body, Idempotency_Key='a-life')
        self.assertEqual(answer.headers['location'], again.headers['location'])
        other = self.ask(
            'POST',
            '/v1/volumes',
            {**body, 'size_bytes': 2 * GIB},
            Idempotency_Key='a-life',
        )
        self.assertEqual(409, other.status)
        event = self.end_of(answer)
        self.assertEqual('success', event['state'], event)
        self.assertEqual('platform', event['origin'])
        volume_id = event['volume_id']
        self.assertEqual(
            GIB, (self.pool / f'volume-{volume_id}').stat().st_size
        )
        shown = self.ask('GET', f'/v1/volumes/{volume_id}')
        edit = {'name': 'other'}
        path = f'/v1/volumes/{volume_id}'
        tag = shown.headers['etag']
        self.end_of(self.ask('PATCH', path, edit, If_Match=tag))
        self.assertEqual(
            412, self.ask('PATCH', path, edit, If_Match=tag).status
        )
        self.assertEqual('other', self.ask('GET', path).body['name'])
        changes = self.ask(
            'GET', f'/v1/changes?after={before["sequence"]}&wait=1'
        ).body
        self.assertIn(
            ('create', 'success'),
            {
                (one['operation'], one['state'])
                for one in changes['changes']
                if one['volume_id'] == volume_id
            },
        )
        self.end_of(self.ask('DELETE', path))
        self.assertEqual(404, self.ask('GET', path).status)
        self.assertEqual(
            404, self.ask('POST', f'{path}/resize', {'size_bytes': 1}).status
        )

    def test_who_is_nobody_or_somebody_else(self) -> None:
        self.assertEqual(401, self.ask('GET', '/v1/volumes', user=None).status)
        self.assertEqual(
            401,
            self.ask(
                'GET', '/v1/volumes', user=None, X_Auth_Token='made up'
            ).status,
        )
        # The administrator's volume is not there for others.
        volume_id = self.create()
        self.wait(volume_id, state='success')
        path = f'/v1/volumes/{volume_id}'
        self.assertEqual(200, self.ask('GET', path).status)
        self.assertEqual(404, self.ask('GET', path, user='demo').status)
        self.assertEqual(404, self.ask('DELETE', path, user='demo').status)
        self.assertEqual(
            403, self.ask('POST', '/v1/agents/agent/drain', user='demo').status
        )

    def test_a_resize_reaches_the_cloud(self) -> None:
        volume_id = self.create()
        self.wait(volume_id, state='success')
        event = self.end_of(
            self.ask(
                'POST',
                f'/v1/volumes/{volume_id}/resize',
                {'size_bytes': 2 * GIB},
            )
        )
        self.assertEqual('success', event['state'], event)
        self.until(
            lambda: self.show(volume_id)['size'] == 2,
            60,
            lambda: str(self.show(volume_id)),
        )

    def test_a_comparison_is_made_when_asked_for(self) -> None:
        volume_id = self.create()
        self.wait(volume_id, state='success')
        asked = self.ask('POST', '/v1/resync')
        self.assertEqual(202, asked.status, asked.body)
        self.until(
            lambda: self.ask('GET', '/v1/resync').body['ended_at'] is not None,
            30,
            lambda: str(self.ask('GET', '/v1/resync').body),
        )
        shown = self.ask('GET', '/v1/resync').body
        self.assertEqual(asked.body['number'], shown['number'])
        self.assertGreaterEqual(shown['volumes'], 1)
        self.assertTrue(shown['listener'])

    def manage_into(self) -> str:
        """Have the listener manage into a new project; return its id.

        The listener's user is Cinder's administrator there.
        """
        client = self.keystone.client()
        body = {'project': {'name': 'managed', 'domain_id': 'default'}}
        project_id = client.post('/projects', body)['project']['id']
        self.make_administrator(project_id)
        configured = self.listener.sections
        self.listener.reconfigure(
            {
                'virtdc': {
                    'managed_project_id': project_id,
                    'managed_volume_type': 'virtdc',
                }
            }
        )
        self.listener.service.restart()

        def restore() -> None:
            self.listener.sections = configured
            self.listener.reconfigure({})
            self.listener.service.restart()

        self.addCleanup(restore)
        return project_id

    def make_administrator(self, project_id: str) -> None:
        """Give the listener's user the role in a project."""
        client = self.keystone.client()
        user = client.get('/users?name=virtdc')['users'][0]['id']
        role = client.get('/roles?name=admin')['roles'][0]['id']
        answer = client.ask(
            'PUT', f'/projects/{project_id}/users/{user}/roles/{role}'
        )
        self.assertEqual(204, answer.status, answer.body)

    def in_the_cloud(self, kind: str, name: str, project_id: str) -> Any:
        """Wait until Cinder has something of a name; return it."""
        found: list[Any] = []

        def is_there() -> bool:
            body = self.cloud.get(f'/{kind}/detail?all_tenants=1&name={name}')
            found[:] = [
                one
                for one in body[kind]
                if one['status'] == 'available' and project_id in one.values()
            ]
            return bool(found)

        self.until(
            is_there, 60, lambda: self.listener.service.log_text()[-3000:]
        )
        self.assertEqual(1, len(found), found)
        return found[0]

    def test_what_is_made_here_is_managed_into_a_project(self) -> None:
        project_id = self.manage_into()
        self.make_administrator(self.keystone.project_id())
        event = self.end_of(
            self.ask(
                'POST',
                '/v1/volumes',
                {
                    'name': 'made-here',
                    'description': 'By the data centre.',
                    'size_bytes': GIB + 2**20,
                    'metadata': {'mine': '1'},
                },
            )
        )
        self.assertEqual('success', event['state'], event)
        platform_id = event['volume_id']
        volume = self.in_the_cloud('volumes', 'made-here', project_id)
        self._made.append(volume['id'])
        self.assertEqual(
            ('By the data centre.', 2, 'virtdc', platform_id),
            (
                volume['description'],
                volume['size'],
                volume['volume_type'],
                volume['os-vol-mig-status-attr:name_id'],
            ),
        )
        self.assertEqual('1', volume['metadata']['mine'])
        self.wait(volume['id'], state='success', platform_id=platform_id)
        shown = self.ask('GET', f'/v1/volumes/{platform_id}').body
        self.assertEqual(2 * GIB, shown['size_bytes'])
        # A snapshot of it, and one of a volume of the cloud, in its project.
        theirs = self.create()
        self.wait(theirs, state='success')
        for of, name, owner in (
            (platform_id, 'kept-here', project_id),
            (theirs, 'kept-of-theirs', self.keystone.project_id()),
        ):
            event = self.end_of(
                self.ask(
                    'POST', '/v1/snapshots', {'volume_id': of, 'name': name}
                )
            )
            self.assertEqual('success', event['state'], event)
            kept = self.in_the_cloud('snapshots', name, owner)
            copy_id = self.create(snapshot_id=kept['id'], size=2)
            self.wait(copy_id, state='success', operation='clone')
            self.cloud.delete(f'/snapshots/{kept["id"]}')
            path = f'/snapshots/{kept["id"]}'
            self.until(
                lambda path=path: self.cloud.ask('GET', path).status == 404,
                60,
                lambda path=path: str(self.cloud.get(path)),
            )
        found = self.ask('GET', '/v1/snapshots').body['snapshots']
        self.assertEqual([], found)
        # It is a volume as any other: grown by both, and its loss is told.
        self.act(volume['id'], 'os-extend', new_size=3)
        self.wait(volume['id'], state='success', operation='extend')
        self.end_of(self.ask('DELETE', f'/v1/volumes/{platform_id}'))
        self.wait(volume['id'], 'error', alarm='volume-deleted')
        # What nobody wanted twice is there once.
        every = self.cloud.get(
            f'/volumes/detail?all_tenants=1&project_id={project_id}'
        )['volumes']
        self.assertEqual([volume['id']], [one['id'] for one in every])

    def test_the_stream_tells_as_it_happens(self) -> None:
        connection = self.connect()
        self.addCleanup(connection.close)
        connection.request(
            'GET', '/v1/stream', headers=dict(self.keystone.headers())
        )
        stream = connection.getresponse()
        self.assertEqual(200, stream.status)
        self.assertIn('text/event-stream', stream.getheader('content-type'))
        volume_id = self.create()
        told = b''
        while volume_id.encode() not in told or b'success' not in told:
            line = stream.readline()
            self.assertTrue(line, told)
            told += line
        self.wait(volume_id, state='success')

    def test_beside_the_agents_under_uwsgi(self) -> None:
        port = PORTS.take()
        venv = installation.Installation.current()
        process = subprocess.Popen(
            [
                venv.program('uwsgi'),
                *('--http-socket', f'127.0.0.1:{port}', '--master'),
                *('--threads', '4', '--enable-threads', '--die-on-term'),
                *('--virtualenv', str(venv.prefix)),
                *('--module', 'virtdc_agent.api.wsgi:application'),
                *('--pyargv', f'--config-file {self.agent.conf}'),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        api = rest.Rest(
            f'http://127.0.0.1:{port}', dict(self.keystone.headers())
        )
        self.until(lambda: api.answers('/healthcheck'), 60, lambda: 'no')
        answer = api.ask('POST', '/v1/volumes', {'size_bytes': GIB})
        event = self.end_of(answer)
        self.assertEqual('success', event['state'], event)
        self.end_of(self.ask('DELETE', f'/v1/volumes/{event["volume_id"]}'))
