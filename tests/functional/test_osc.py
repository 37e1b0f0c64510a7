"""The ``openstack`` client with our plugin, in a real cloud with Keystone."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
import pty
import subprocess
from typing import Any

from tests.functional import base
from tools.lab import installation
from tools.lab import rest
from tools.lab import stack


class OscCase(base.CloudCase):
    """Runs the client as the administrator."""

    def setUp(self) -> None:
        super().setUp()
        self.program = installation.Installation.current().program('openstack')
        self.environment = {
            **{k: v for k, v in os.environ.items() if k[:3] != 'OS_'},
            **self.lab.environment,
            'TERM': 'xterm',
        }
        if self.lab.keystone is None:
            raise AssertionError('the lab has no Keystone')
        token = self.lab.keystone.client().headers['X-Auth-Token']
        self.virtdc = rest.Rest(
            f'{self.lab.rest_url}/v1', {'X-Auth-Token': token}
        )
        types = self.cloud.get('/types')['volume_types']
        if not any(one['name'] == 'thick' for one in types):
            specs = {'virtdc:provisioning': 'thick'}
            body = {'name': 'thick', 'extra_specs': specs}
            self.cloud.post('/types', {'volume_type': body})

    def get_lab(self) -> stack.Lab:
        """Return the lab to test in."""
        return base.keystone_lab()

    def openstack(
        self, *arguments: str, expected: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run the client, without a terminal."""
        done = subprocess.run(
            [self.program, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.assertEqual(expected, done.returncode, done.stderr)
        return done

    def json(self, *arguments: str) -> Any:
        """Run the client; return what it prints for programs."""
        return json.loads(self.openstack(*arguments, '-f', 'json').stdout)

    def on_terminal(self, *arguments: str) -> tuple[int, str]:
        """Run the client on a terminal; return status and what was seen."""
        child, terminal = pty.fork()
        if child == 0:
            os.execve(
                self.program, [self.program, *arguments], self.environment
            )
        seen = b''
        try:
            while part := os.read(terminal, 4096):
                seen += part
        except OSError:
            pass  # how Linux tells that the other end is closed
        finally:
            os.close(terminal)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), seen.decode()

    def soon(self, found: Callable[[], Any], what: str) -> Any:
        """Return what there is, once there is some."""
        last: list[Any] = []

        def is_there() -> bool:
            last[:] = [found()]
            return bool(last[0])

        self.until(is_there, 30, lambda: what)
        return last[0]


class TestProgress(OscCase):
    def test_a_comparison_is_waited_for(self) -> None:
        volume_id = self.create()
        self.wait(volume_id, state='success')
        found = self.json('virtdc', 'resync', '--wait', '--timeout', '60s')
        self.assertEqual('ended', found['state'])
        self.assertGreaterEqual(found['volumes'], 1)
        again = self.openstack('virtdc', 'resync', '--show').stdout
        self.assertIn(found['listener'], again)

    def test_create_draws_on_a_terminal(self) -> None:
        status, seen = self.on_terminal(
            *('volume', 'create', '--size', '1', '--type', 'thick'),
            *('--progress', 'drawn', '-c', 'id', '-c', 'status'),
        )
        found = self.cloud.get('/volumes?name=drawn')['volumes']
        self._made += [one['id'] for one in found]
        self.assertEqual(0, status, seen)
        self.assertRegex(seen, r'running .*[0-9]+ %')
        self.assertRegex(seen, r'\| status +\| available')

    def test_create_says_nothing_to_programs(self) -> None:
        done = self.openstack(
            *('volume', 'create', '--size', '1', '--wait', '-f', 'json'),
            'quiet',
        )
        volume = json.loads(done.stdout)
        self._made.append(volume['id'])
        self.assertEqual('available', volume['status'])
        self.assertEqual('', done.stderr)
        self.wait(volume['id'], state='success')


class TestEvents(OscCase):
    def lease(self) -> str:
        agent: dict[str, str] = self.virtdc.get('/agents')['agents'][0]
        return agent['lease_until']

    def test_list_watch_cancel_retry(self) -> None:
        self.openstack('virtdc', 'agent', 'drain', 'agent')
        self.addCleanup(self.virtdc.post, '/agents/agent/undrain', None)
        # It learns of it when it next renews its lease.
        lease = self.lease()
        self.soon(lambda: self.lease() != lease, 'the agent is told')
        volume_id = self.create('waits', volume_type='thick')
        (row,) = self.soon(
            lambda: self.json(
                *('virtdc', 'event', 'list', '--volume', volume_id),
                *('--state', 'waiting'),
            ),
            'an event waits',
        )
        event_id = row['ID']
        done = self.openstack(
            *('virtdc', 'event', 'watch', event_id, '--timeout', '1s'),
            expected=124,
        )
        self.assertIn('waiting', done.stdout)
        self.assertIn('--after', done.stderr)
        shown = self.json('virtdc', 'event', 'cancel', event_id, '--wait')
        self.assertEqual('cancelled', shown['reason'])
        done = self.openstack(
            *('virtdc', 'event', 'watch', event_id, '-f', 'json'), expected=1
        )
        self.assertEqual('failed', json.loads(done.stdout)['state'])
        self.openstack('virtdc', 'agent', 'resume', 'agent')
        shown = self.json('virtdc', 'event', 'retry', event_id, '--wait')
        self.assertEqual('success', shown['state'])

    def test_an_error_is_a_sentence_with_a_request_id(self) -> None:
        done = self.openstack('virtdc', 'event', 'show', 'nix', expected=1)
        self.assertRegex(done.stderr, r'no event nix.*HTTP 404, req-')


class TestAlarm(OscCase):
    def test_deleted_seen_acknowledged_restored(self) -> None:
        volume_id = self.create('lost')
        self.wait(volume_id, state='success')
        self.virtdc.delete(f'/volumes/{volume_id}')
        self.wait(volume_id, 'error')
        self.assertIn(
            volume_id,
            [one['Subject'] for one in self.json('virtdc', 'alarm', 'list')],
        )
        shown = self.json(
            *('virtdc', 'alarm', 'ack', 'volume-deleted', volume_id),
            *('--comment', 'I see to it'),
        )
        self.assertEqual('I see to it', shown['comment'])
        rows = self.json('virtdc', 'volume', 'show', 'lost')
        self.assertIn('id', [one['Field'] for one in rows if one['Differs']])
        shown = self.json('virtdc', 'alarm', 'restore', 'lost', '--wait')
        self.assertEqual('success', shown['state'])
        self.wait(volume_id, 'available')
        self.openstack(
            *('virtdc', 'volume', 'compare', '--wait', '--timeout', '60s')
        )
        self.assertEqual([], self.json('virtdc', 'alarm', 'list'))
