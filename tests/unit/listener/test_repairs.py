"""Repairs are asked of Cinder's API as it wants to be asked."""

from __future__ import annotations

from typing import Any

from cinder_virtdc.cloud.interfaces import CloudSnapshot
from cinder_virtdc.cloud.repairs import SdkRepairs
from tests.unit.listener import test_cloud

SNAPSHOT = {'id': 's', 'volume_id': 'v', 'status': 'creating', 'size': 2}


class RepairsTest(test_cloud.CloudCase):
    def setUp(self) -> None:
        super().setUp()
        self.repairs = SdkRepairs(self.cloud)

    def test_snapshots_are_listed_page_by_page(self) -> None:
        self.answers += [
            (200, {'snapshots': [SNAPSHOT], 'snapshots_links': [{}]}),
            (200, {'snapshots': [{**SNAPSHOT, 'id': 't'}]}),
        ]
        found = list(self.repairs.list_snapshots('creating'))
        self.assertEqual(
            CloudSnapshot(
                snapshot_id='s', volume_id='v', status='creating', size_gib=2
            ),
            found[0],
        )
        self.assertEqual(['s', 't'], [one.snapshot_id for one in found])
        first, second = (path for _, path, _ in self.requests[-2:])
        self.assertIn('all_tenants=1', first)
        self.assertIn('status=creating', first)
        self.assertIn('marker=s', second)

    def test_actions(self) -> None:
        for call, path, body in (
            (
                lambda: self.repairs.reset_volume('v', 'available'),
                '/volumes/v/action',
                {'os-reset_status': {'status': 'available'}},
            ),
            (
                lambda: self.repairs.reset_snapshot('s', 'error'),
                '/snapshots/s/action',
                {'os-reset_status': {'status': 'error'}},
            ),
            (
                lambda: self.repairs.extend('v', 3),
                '/volumes/v/action',
                {'os-extend': {'new_size': 3}},
            ),
            (
                lambda: self.repairs.force_delete('v'),
                '/volumes/v/action',
                {'os-force_delete': {}},
            ),
            (
                lambda: self.repairs.force_delete_snapshot('../s'),
                '/snapshots/..%2Fs/action',
                {'os-force_delete': {}},
            ),
        ):
            self.answers.append((202, None))
            call()
            method, asked, sent = self.requests[-1]
            self.assertEqual(('POST', body), (method, sent))
            self.assertTrue(asked.endswith(path), asked)

    def test_a_snapshot_is_shown(self) -> None:
        answer: Any = {'snapshot': SNAPSHOT}
        self.answers.append((200, answer))
        self.assertEqual(2, self.repairs.get_snapshot('s').size_gib)
