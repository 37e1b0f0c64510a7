"""Who may use a volume and how: transfers, QoS, reading only, attaching."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.functional import base
from tests.functional import test_copies

BLOCK = bytes(range(1, 129)) * 8 * 1024
ELSEWHERE = {'host': 'compute-2', 'ip': '127.0.0.2', 'initiator': ''}


class SharingCase(test_copies.CopiesCase):
    def connect(
        self, volume_id: str, connector: Mapping[str, str], **wanted: Any
    ) -> Any:
        """Ask for an attachment with a connection; return the answer."""
        body = {'volume_uuid': volume_id, 'connector': connector, **wanted}
        return self.cloud.ask('POST', '/attachments', {'attachment': body})

    def id_of_type(self, name: str) -> str:
        """Return the id of a volume type."""
        types = self.cloud.get('/types')['volume_types']
        (found,) = (one['id'] for one in types if one['name'] == name)
        return str(found)


class TestTransfer(SharingCase):
    def test_to_another_project_and_back(self) -> None:
        """Content and snapshots go along; the data centre does nothing."""
        volume_id = self.make_written()
        snapshot_id = self.snapshot(volume_id)
        then = test_copies.digest(self.file_of(volume_id))
        here, there = self.cloud, self.lab.cinder.client('demo')
        for giver, taker, name in (
            (here, there, 'demo'),
            (there, here, 'admin'),
        ):
            transfer = giver.post(
                '/volume-transfers', {'transfer': {'volume_id': volume_id}}
            )['transfer']
            path = f'/volume-transfers/{transfer["id"]}/accept'
            wrong = {'accept': {'auth_key': 'wrong'}}
            self.assertEqual(400, taker.ask('POST', path, wrong).status)
            taker.post(path, {'accept': {'auth_key': transfer['auth_key']}})
            shown = taker.get(f'/volumes/{volume_id}')['volume']
            self.assertEqual('available', shown['status'])
            self.assertEqual(
                self.lab.identity.project_id(name),
                shown['os-vol-tenant-attr:tenant_id'],
            )
            self.assertEqual(then, test_copies.digest(self.file_of(volume_id)))
            # The new owner may do with both whatever an owner may.
            body = {'volume': {'size': 1, 'snapshot_id': snapshot_id}}
            copy_id = taker.post('/volumes', body)['volume']['id']
            self.until(
                lambda taker=taker, copy_id=copy_id: (
                    taker.get(f'/volumes/{copy_id}')['volume']['status']
                    == 'available'
                ),
                60,
                lambda: 'there is no copy',
            )
            self.assertEqual(then, test_copies.digest(self.file_of(copy_id)))
            taker.delete(f'/volumes/{copy_id}')


class TestQos(SharingCase):
    def connection_with(self, consumer: str) -> Mapping[str, Any]:
        """Return the connection of a volume whose type has QoS specs."""
        name = f'qos-{consumer}'
        self.make_type(name, {})
        specs = {'name': name, 'consumer': consumer, 'total_iops_sec': '500'}
        qos = self.cloud.post('/qos-specs', {'qos_specs': specs})['qos_specs']
        self.cloud.get(
            f'/qos-specs/{qos["id"]}/associate'
            f'?vol_type_id={self.id_of_type(name)}'
        )
        volume_id = self.make(volume_type=name)
        attachment = self.connect(volume_id, test_copies.HOST).body
        attachment_id = attachment['attachment']['id']
        self.wait(volume_id, 'attaching', operation='connect', state='success')
        self.cloud.delete(f'/attachments/{attachment_id}')
        self.wait(volume_id, operation='disconnect', state='success')
        found: Mapping[str, Any] = attachment['attachment']['connection_info']
        return found

    def test_the_front_end_is_told(self) -> None:
        self.assertEqual(
            {'total_iops_sec': '500'},
            self.connection_with('front-end')['qos_specs'],
        )

    def test_the_back_end_is_asked_for_nothing(self) -> None:
        self.assertIsNone(self.connection_with('back-end')['qos_specs'])


class TestAttachments(SharingCase):
    def test_for_reading_only(self) -> None:
        """Cinder says so to the host, which has to keep to it."""
        volume_id = self.make_written()
        self.act(volume_id, 'os-update_readonly_flag', readonly=True)
        # Whatever is asked for.
        answer = self.connect(volume_id, test_copies.HOST, mode='rw')
        self.assertEqual(200, answer.status, answer.body)
        attachment = answer.body['attachment']
        self.assertEqual(
            'ro', attachment['connection_info']['access_mode'], attachment
        )
        self.cloud.delete(f'/attachments/{attachment["id"]}')
        self.wait(volume_id, operation='disconnect', state='success')

    def test_a_second_host_is_refused(self) -> None:
        volume_id = self.make()
        attachment_id = self.attach(volume_id)
        answer = self.connect(volume_id, ELSEWHERE)
        self.assertEqual(400, answer.status, answer.body)
        self.wait(volume_id, 'in-use', operation='connect', state='success')
        self.cloud.delete(f'/attachments/{attachment_id}')
        self.wait(volume_id, operation='disconnect', state='success')

    def test_detaching_twice(self) -> None:
        volume_id = self.make()
        attachment_id = self.attach(volume_id)
        path = f'/attachments/{attachment_id}'
        self.cloud.delete(path)
        self.assertEqual(404, self.cloud.ask('DELETE', path).status)
        self.wait(volume_id, operation='disconnect', state='success')
        # The older calls, which name the host and not an attachment.
        for _ in range(2):
            self.act(
                volume_id,
                'os-terminate_connection',
                connector=test_copies.HOST,
            )
        self.wait(volume_id, operation='disconnect', state='success')

    def test_force_detach(self) -> None:
        """Every host is shut out, whatever Cinder remembers of it."""
        volume_id = self.make()
        self.act(
            volume_id, 'os-initialize_connection', connector=test_copies.HOST
        )
        self.act(
            volume_id,
            'os-attach',
            instance_uuid=volume_id,
            mountpoint='/dev/x',
        )
        shown = self.wait(volume_id, 'in-use')
        self.assertEqual(
            400, self.cloud.ask('DELETE', f'/volumes/{volume_id}').status
        )
        [attachment] = shown['attachments']
        self.act(
            volume_id,
            'os-force_detach',
            attachment_id=attachment['attachment_id'],
            connector=None,
        )
        self.wait(volume_id, operation='disconnect', state='success')
        # Nothing is attached any more, in the agent's view either.
        self.delete(volume_id)
        self.assertFalse(self.file_of(volume_id).exists())


class TestProgress(SharingCase):
    def test_a_copy_shows_how_far_it_is(self) -> None:
        """Where copies are not instant, as on the disk of this lab."""
        volume_id = self.make()
        size = base.GIB - base.GIB // 8
        with self.file_of(volume_id).open('r+b') as file:
            for _ in range(size // len(BLOCK)):
                file.write(BLOCK)
        copy_id = self.create(source_volid=volume_id)
        seen: set[int] = set()

        def is_done() -> bool:
            shown = self.show(copy_id)
            progress = shown['metadata'].get('virtdc.progress', '')
            if progress.endswith(' %'):
                seen.add(int(progress.removesuffix(' %')))
            return bool(shown['status'] == 'available')

        self.until(is_done, 120, lambda: f'it got as far as {seen}')
        self.wait(copy_id, state='success', progress='100 %')
        self.assertTrue({one for one in seen if 0 < one < 100}, seen)
