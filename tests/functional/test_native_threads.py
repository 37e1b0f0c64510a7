"""cinder-volume without eventlet; TLS to the broker; a shared key."""

from __future__ import annotations

import functools
from pathlib import Path
import tempfile
from typing import Any
import urllib.parse
import uuid

from cinder_virtdc.bus.caller import BusCaller
from cinder_virtdc import exceptions
from tests.functional import base
from tests.functional import test_bus
from tools.lab import certificates
from tools.lab import configuration
from tools.lab import stack
from tools.lab import virtdc
from virtdc_agent.contract.key_file import KeyFile
from virtdc_agent.contract import sealing
from virtdc_agent.contract import signing
from virtdc_agent.contract import topics

NAMES = ('agent', 'driver', 'listener')
AGENT_QUEUE = f'{virtdc.RPC_QUEUE}.agent'


@functools.cache
def keys_folder() -> Path:
    """Return a folder with the same keys for each side."""
    folder = Path(tempfile.mkdtemp(prefix='virtdc-keys-'))
    key = signing.Key.generate('first')
    for name in NAMES:
        write_keys(folder / name, key)
    return folder


def write_keys(path: Path, *keys: signing.Key) -> None:
    """Write a file of keys."""
    path.touch(mode=0o600)
    path.write_text('\n'.join(key.to_line() for key in keys), encoding='ascii')


@functools.cache
def native_lab() -> stack.Lab:
    """Return a cloud of its own."""
    folder = keys_folder()
    return base.start(
        base.settings(
            native_threads=True,
            broker_tls=True,
            backends=(
                virtdc.backend(
                    options={
                        **base.DRIVER,
                        'virtdc_key_file': folder / 'driver',
                    }
                ),
            ),
            agent=virtdc.AgentSettings(
                options=configuration.merge(
                    base.DURABLE,
                    {
                        'DEFAULT': {'debug': True},
                        'agent': {'key_file': folder / 'agent'},
                    },
                )
            ),
            listener=virtdc.ListenerSettings(
                options=configuration.merge(
                    base.LISTENER,
                    {
                        'DEFAULT': {'debug': True},
                        'virtdc': {'key_file': folder / 'listener'},
                    },
                )
            ),
        )
    )


class NativeCase(base.CloudCase):
    def get_lab(self) -> stack.Lab:
        return native_lab()


class TestBroker(NativeCase):
    def test_a_broker_that_is_not_trusted_is_told_nothing(self) -> None:
        rabbit = 'oslo_messaging_rabbit'
        trusted = self.agent.sections[rabbit]['ssl_ca_file']
        other = certificates.make(self.lab.folder / 'another-authority')
        self.addCleanup(self.agent.service.restart)
        self.addCleanup(
            self.agent.reconfigure, {rabbit: {'ssl_ca_file': trusted}}
        )
        self.agent.service.stop()
        self.agent.reconfigure({rabbit: {'ssl_ca_file': other.path}})
        before = len(self.agent.service.log_text())
        self.agent.service.start(wait=False)
        self.until(
            lambda: (
                'CERTIFICATE_VERIFY_FAILED'
                in self.agent.service.log_text()[before:]
            ),
            60,
            lambda: self.agent.service.log_text()[before:],
        )
        self.assertEqual(0, self.lab.rabbitmq.consumers(AGENT_QUEUE))


class TestNativeThreads(NativeCase):
    def test_a_whole_life(self) -> None:
        ids = [self.create(f'native-{index}') for index in range(8)]
        for volume_id in ids:
            self.wait(volume_id, state='success')
        self.act(ids[0], 'os-extend', new_size=2)
        shown = self.wait(ids[0], operation='extend', state='success')
        self.assertEqual(2, shown['size'])
        for volume_id in ids:
            self.cloud.delete(f'/volumes/{volume_id}')
        self.wait_gone(*ids)
        self.assertEqual([], list(self.pool.glob('volume-*')))


class TestSigned(test_bus.BusCase):
    """What others put on the bus, who have its password and no key."""

    def get_lab(self) -> stack.Lab:
        return native_lab()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        native_lab().down()

    def caller(self, *keys: signing.Key) -> BusCaller:
        path = keys_folder() / f'stranger-{uuid.uuid4()}'
        write_keys(path, *keys)
        return BusCaller(
            self.calls,
            topic=topics.RPC_TOPIC,
            seal=sealing.Seal(KeyFile(str(path), monotonic=lambda: 0.0)),
        )

    def refusal(self, method: str, **arguments: Any) -> str:
        error = self.call(method, **arguments)['error']
        self.assertEqual('unauthenticated', error['code'])
        return str(error['message'])

    def test_a_call_without_a_signature(self) -> None:
        event = test_bus.create_event()
        self.assertIn('not signed', self.refusal('submit', event=event))
        self.assertIn('not signed', self.refusal('get_volumes'))
        volume_id = event['data']['volume_id']
        self.assertEqual([], list(self.pool.glob(f'volume-{volume_id}*')))

    def test_a_call_with_another_key(self) -> None:
        other = self.caller(signing.Key.generate('first'))
        answer: Any = other.call('get_capacity', {}, 10)
        self.assertEqual('unauthenticated', answer['error']['code'])

    def test_a_call_that_is_repeated_or_altered(self) -> None:
        keyring = KeyFile(str(keys_folder() / 'driver'), monotonic=lambda: 0.0)
        seal = sealing.Seal(keyring)
        event = test_bus.create_event()
        signed, _ = seal.put_on_call(
            topics.RPC_TOPIC, 'submit', {'event': event}
        )
        self.assertIn('item', self.call('submit', **signed))
        self.assertIn('repeats', self.refusal('submit', **signed))
        signed, _ = seal.put_on_call(
            topics.RPC_TOPIC, 'submit', {'event': test_bus.create_event()}
        )
        altered = {**signed, 'event': test_bus.create_event()}
        self.assertIn('not right', self.refusal('submit', **altered))

    def test_a_notification_that_is_made_up(self) -> None:
        volume_id = self.create()
        before = self.wait(volume_id, state='success')['metadata']
        changes = self.caller_of_driver().call(
            'get_changes', {'after': 0, 'limit': 1000}, 10
        )
        (latest,) = [
            item
            for item in changes['items']
            if item['data']['volume_id'] == volume_id
            and item['data']['state'] == 'success'
        ]
        data = {**latest['data'], 'sequence': 10**9, 'progress': 7}
        self.notify({**latest, 'data': data})
        # Whatever is told later has been read after it.
        other = self.create()
        self.wait(other, state='success')
        self.assertEqual(before, self.show(volume_id)['metadata'])

    def caller_of_driver(self) -> Any:
        path = keys_folder() / 'driver'
        return BusCaller(
            self.calls,
            topic=topics.RPC_TOPIC,
            seal=sealing.Seal(KeyFile(str(path), monotonic=lambda: 0.0)),
        )

    def test_a_new_key_without_a_pause(self) -> None:
        folder = keys_folder()
        (old,) = self.keys_of(folder / 'driver')
        new = signing.Key.generate('second')
        for keys in ((old, new), (new, old), (new,)):
            for name in NAMES:
                write_keys(folder / name, *keys)
            # Between two looks at the file the former keys hold.
            self.until(
                lambda keys=keys: self.is_obeyed(keys[0]), 30, lambda: 'no'
            )
            volume_id = self.create()
            self.wait(volume_id, state='success')
        self.assertFalse(self.is_obeyed(old))

    def test_secrets_are_told_to_nobody(self) -> None:
        """In no log, also of what goes wrong, and in no arguments."""
        self.wait(self.create(), state='success')
        self.refusal('get_volumes')
        self.lab.rabbitmq.service.restart()
        self.wait(self.create(), state='success')
        secrets = [
            part
            for url in (
                self.lab.rabbitmq.private_url,
                self.lab.rabbitmq.cloud_url,
            )
            if (part := urllib.parse.urlsplit(url).password)
        ]
        secrets += [
            line.split()[-1]
            for name in NAMES
            for line in (keys_folder() / name).read_text().splitlines()
        ]
        self.assertGreaterEqual(len(secrets), 5)
        for service in self.lab.supervisor.services():
            if service.name in ('rabbitmq', 'epmd', 'mariadb'):
                continue
            arguments = Path(f'/proc/{service.pid}/cmdline').read_text()
            for text in (service.log_text(), arguments):
                self.assertGreater(len(text), 20)
                for secret in secrets:
                    self.assertNotIn(secret, text, service.name)

    def keys_of(self, path: Path) -> list[signing.Key]:
        keyring = signing.Keyring.from_text(path.read_text(encoding='ascii'))
        return [keyring.signer]

    def is_obeyed(self, key: signing.Key) -> bool:
        try:
            answer: Any = self.caller(key).call('get_capacity', {}, 10)
        except exceptions.NotTrusted:
            return False
        return 'item' in answer
