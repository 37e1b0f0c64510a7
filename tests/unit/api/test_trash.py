"""The trash over REST."""

from __future__ import annotations

from tests.unit.api import base
from virtdc_agent.contract import events
from virtdc_agent import model


class TestTrash(base.ApiCase):
    def test_lists_what_is_of_ones_project(self) -> None:
        for n in range(5):
            self.put_trash(f't{n}', base.OWN if n % 2 else base.OTHER)

        def ids(query: str, caller: str) -> list[str]:
            found = self.ask('GET', f'/v1/trash?{query}', caller=caller).json
            return [one['volume']['volume_id'] for one in found['trash']]

        self.assertEqual(['t0', 't1', 't2', 't3', 't4'], ids('', 'reader'))
        self.assertEqual(['t1', 't3'], ids('', 'own-reader'))
        self.assertEqual(['t1', 't3'], ids(f'project_id={base.OWN}', 'admin'))
        page = self.ask('GET', '/v1/trash?limit=1', caller='own-reader').json
        self.assertEqual('t1', page['next_marker'])
        self.assertEqual(['t3'], ids('marker=t1&limit=1', 'own-reader'))
        last = self.ask('GET', '/v1/trash?marker=t1', caller='own-reader')
        self.assertIsNone(last.json['next_marker'])

    def test_restore(self) -> None:
        trashed = self.put_trash()
        headers = {'Idempotency-Key': 'r'}

        def restore():
            return self.ask(
                'POST',
                '/v1/trash/t1/restore',
                caller='own-member',
                headers=headers,
            )

        event = self.accepted(restore())
        self.assertEqual('restore', event['operation'])
        self.settle(model.RestoreVolume(volume=trashed.volume))
        self.assertEqual(
            event['event_id'], self.accepted(restore())['event_id']
        )
        self.refused(
            404,
            'volume-not-found',
            self.ask('POST', '/v1/trash/t1/restore', caller='own-member'),
        )

    def test_purge_is_of_what_lay_there(self) -> None:
        trashed = self.put_trash()
        event = self.accepted(self.ask('DELETE', '/v1/trash/t1'))
        self.assertEqual(
            events.PurgeParameters(deleted_by=trashed.event_id),
            self.journal.get_event(event['event_id']).parameters,
        )

    def test_others_are_not_there(self) -> None:
        self.put_trash()
        for volume_id in ('t1', 't2'):
            self.refused(
                404,
                'volume-not-found',
                self.ask(
                    'POST',
                    f'/v1/trash/{volume_id}/restore',
                    caller='other-member',
                ),
            )
