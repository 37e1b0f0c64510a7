"""Volumes through real Cinder, the bus, the agent and back."""

from __future__ import annotations

import shutil

from tests.functional import base

GIB = base.GIB


class TestVolumes(base.CloudCase):
    def test_create_makes_a_file_and_says_so(self) -> None:
        volume_id = self.create(metadata={'mine': 'kept'})
        shown = self.wait(
            volume_id, state='success', operation='create', progress='100 %'
        )
        self.assertEqual(GIB, self.file_of(volume_id).stat().st_size)
        self.assertEqual('kept', shown['metadata']['mine'])
        self.assertIn('virtdc.event_id', shown['metadata'])

    def test_extend_agrees_on_both_sides(self) -> None:
        volume_id = self.create()
        self.wait(volume_id)
        self.act(volume_id, 'os-extend', new_size=3)
        shown = self.wait(volume_id, operation='extend', state='success')
        self.assertEqual(3, shown['size'])
        self.assertEqual(3 * GIB, self.file_of(volume_id).stat().st_size)

    def test_delete_removes_the_file(self) -> None:
        volume_id = self.create()
        self.wait(volume_id)
        self.cloud.delete(f'/volumes/{volume_id}')
        self.wait_gone(volume_id)
        self.assertFalse(self.file_of(volume_id).exists())

    def test_twenty_at_once(self) -> None:
        ids = [self.create(f'many-{index}') for index in range(20)]
        for volume_id in ids:
            self.wait(volume_id, state='success')
            self.assertTrue(self.file_of(volume_id).exists())

    def test_a_refusal_says_why(self) -> None:
        self.make_type('thick', {'virtdc:provisioning': 'thick'})
        free_gib = shutil.disk_usage(self.pool).free // GIB
        volume_id = self.create(size=free_gib + 100, volume_type='thick')
        shown = self.wait(
            volume_id, 'error', state='failed', reason='rejected'
        )
        self.assertIn('There is no room', shown['metadata']['virtdc.message'])
        self.assertFalse(self.file_of(volume_id).exists())

    def test_a_thick_volume_takes_its_space(self) -> None:
        self.make_type('thick', {'virtdc:provisioning': 'thick'})
        volume_id = self.create(volume_type='thick')
        self.wait(volume_id, state='success')
        self.assertGreaterEqual(
            self.file_of(volume_id).stat().st_blocks * 512, GIB
        )

    def test_a_connected_volume_is_protected(self) -> None:
        volume_id = self.create()
        self.wait(volume_id)
        connector = {'host': 'compute-1', 'ip': '127.0.0.1', 'initiator': ''}
        answer = self.act(
            volume_id, 'os-initialize_connection', connector=connector
        )
        info = answer['connection_info']
        self.assertEqual('nfs', info['driver_volume_type'])
        self.assertEqual(f'volume-{volume_id}', info['data']['name'])
        self.assertTrue(info['data']['export'])
        self.cloud.delete(f'/volumes/{volume_id}')
        # Cinder calls it busy, and lets it be as it was.
        shown = self.wait(volume_id, operation='delete', state='failed')
        self.assertIn('compute-1', shown['metadata']['virtdc.message'])
        self.assertTrue(self.file_of(volume_id).exists())
        self.act(volume_id, 'os-terminate_connection', connector=connector)
        self.cloud.delete(f'/volumes/{volume_id}')
        self.wait_gone(volume_id)

    def make_type(self, name: str, extra_specs: dict[str, str]) -> None:
        specs = {'volume_backend_name': 'virtdc', **extra_specs}
        answer = self.cloud.ask(
            'POST',
            '/types',
            {'volume_type': {'name': name, 'extra_specs': specs}},
        )
        # Another test may have made it.
        self.assertIn(answer.status, (200, 409))
