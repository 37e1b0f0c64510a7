"""Groups of volumes through real Cinder, the bus, the agent and back."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

from tests.functional import base
from tests.functional import test_copies

GIB = base.GIB
WITH_GROUPS = {'OpenStack-API-Version': 'volume 3.38'}


class TestGroups(test_copies.CopiesCase):
    def setUp(self) -> None:
        super().setUp()
        self.with_groups = dataclasses.replace(
            self.cloud, headers={**self.cloud.headers, **WITH_GROUPS}
        )
        self.groups: list[str] = []
        self.addCleanup(self._delete_groups)
        self.make_type('in-groups', {})
        types = self.ask('GET', '/types')['volume_types']
        (self.volume_type,) = (
            one['id'] for one in types if one['name'] == 'in-groups'
        )
        self.consistent = self.group_type('consistent', '<is> True')

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask Cinder with the version that knows groups."""
        answer = self.with_groups.ask(method, path, body)
        self.assertLess(answer.status, 300, answer)
        return answer.body

    def group_type(self, name: str, consistent: str) -> str:
        """Return a group type, made unless it is there."""
        for one in self.ask('GET', '/group_types')['group_types']:
            if one['name'] == name:
                return str(one['id'])
        made = self.ask(
            'POST', '/group_types', {'group_type': {'name': name}}
        )['group_type']['id']
        self.ask(
            'POST',
            f'/group_types/{made}/group_specs',
            {'group_specs': {'consistent_group_snapshot_enabled': consistent}},
        )
        return str(made)

    def group(self, *volume_ids: str, group_type: str = '') -> str:
        """Return a group that has these volumes."""
        made: str = self.ask(
            'POST',
            '/groups',
            {
                'group': {
                    'name': self.id(),
                    'group_type': group_type or self.consistent,
                    'volume_types': [self.volume_type],
                }
            },
        )['group']['id']
        self.groups.append(made)
        self.await_group(made)
        self.update(made, add_volumes=','.join(volume_ids))
        return made

    def update(self, group_id: str, **changes: str) -> None:
        self.ask('PUT', f'/groups/{group_id}', {'group': changes})
        self.await_group(group_id)

    def await_group(self, group_id: str, status: str = 'available') -> None:
        self._await(f'/groups/{group_id}', 'group', status)

    def _await(self, path: str, kind: str, status: str) -> None:
        def seen() -> str:
            return str(self.ask('GET', path)[kind]['status'])

        self.until(
            lambda: seen() == status, 60, lambda: f'the {kind} is {seen()}'
        )

    def keep(self, group_id: str, status: str = 'available') -> str:
        """Take a snapshot of a group; return its id when that has ended."""
        kept = self.ask_to_keep(group_id)
        self.await_kept(kept, status)
        return kept

    def ask_to_keep(self, group_id: str) -> str:
        """Ask for a snapshot of a group; return its id at once."""
        kept: str = self.ask(
            'POST',
            '/group_snapshots',
            {'group_snapshot': {'group_id': group_id, 'name': self.id()}},
        )['group_snapshot']['id']
        return kept

    def await_kept(self, kept: str, status: str = 'available') -> None:
        self._await(f'/group_snapshots/{kept}', 'group_snapshot', status)

    def copy(self, **source: str) -> list[str]:
        """Have a group made of another; return its volumes, in no order."""
        made: str = self.ask(
            'POST',
            '/groups/action',
            {'create-from-src': {'name': self.id(), **source}},
        )['group']['id']
        self.groups.append(made)
        self.await_group(made)
        found = self.ask('GET', f'/volumes/detail?group_id={made}')['volumes']
        return [str(one['id']) for one in found]

    def drop(self, kept: str) -> None:
        path = f'/group_snapshots/{kept}'
        self.ask('DELETE', path)
        self._await_gone(path)

    def delete_group(self, group_id: str) -> None:
        path = f'/groups/{group_id}'
        self.ask(
            'POST', f'{path}/action', {'delete': {'delete-volumes': True}}
        )
        self._await_gone(path)
        self.groups.remove(group_id)

    def _await_gone(self, path: str) -> None:
        self.until(
            lambda: self.with_groups.ask('GET', path).status == 404,
            60,
            lambda: f'{path} is still there',
        )

    def _delete_groups(self) -> None:
        for group_id in list(self.groups):
            self.delete_group(group_id)

    def two_written(self) -> list[str]:
        """Return two volumes with something in them."""
        made = [self.make(volume_type='in-groups') for _ in range(2)]
        for volume_id in made:
            test_copies.write(self.file_of(volume_id), f'at first {volume_id}')
        return made

    def digests(self, volume_ids: list[str]) -> list[str]:
        return sorted(
            test_copies.digest(self.file_of(one)) for one in volume_ids
        )

    def snapshots_left(self) -> list[str]:
        return [path.name for path in self.pool.glob('snapshot-*')]

    def test_a_group_is_kept_and_copied_at_one_instant(self) -> None:
        """Content by checksum; the event is shown on both volumes."""
        volumes = self.two_written()
        before = self.digests(volumes)
        group = self.group(*volumes)
        kept = self.keep(group)
        for volume_id in volumes:
            self.wait(volume_id, operation='snapshot_group', state='success')
            test_copies.write(self.file_of(volume_id), 'afterwards')
        after = self.digests(volumes)
        self.assertEqual(2, len(self.snapshots_left()))
        copies = self.copy(group_snapshot_id=kept)
        self.assertEqual(before, self.digests(copies))
        more = self.copy(source_group_id=group)
        self.assertEqual(after, self.digests(more))
        # What that one was copied from is gone again.
        self.assertEqual(2, len(self.snapshots_left()))
        self.drop(kept)
        self.assertEqual([], self.snapshots_left())
        self.update(group, remove_volumes=volumes[0])
        self.delete_group(group)
        self.wait_gone(volumes[1])
        self.assertEqual('available', self.show(volumes[0])['status'])
        self.assertFalse(self.file_of(volumes[1]).exists())

    def test_a_group_in_use_is_refused_unless_its_type_allows(self) -> None:
        """The volumes say why, and nothing is left of it."""
        volumes = self.two_written()
        group = self.group(*volumes)
        attachment = self.attach(volumes[1])
        kept = self.keep(group, 'error')
        for volume_id in volumes:
            shown = self.wait(
                *(volume_id, self.show(volume_id)['status']),
                operation='snapshot_group',
                state='failed',
            )
            self.assertIn('detach first', shown['metadata']['virtdc.message'])
        self.assertEqual([], self.snapshots_left())
        self.drop(kept)
        self.cloud.delete(f'/attachments/{attachment}')
        self.wait(volumes[1])
        self.update(group, remove_volumes=','.join(volumes))
        loose = self.group(
            *volumes, group_type=self.group_type('loose', '<is> False')
        )
        self.drop(self.keep(loose))
        self.assertEqual([], self.snapshots_left())

    def test_the_agent_is_killed_in_the_middle(self) -> None:
        """The group is kept whole all the same, and says so."""
        volumes = self.two_written()
        before = self.digests(volumes)
        group = self.group(*volumes)
        for pause_s in (0.1, 0.2, 0.3):
            kept = self.ask_to_keep(group)
            # Before it has come to the agent, and while it is done.
            time.sleep(pause_s)
            self.agent.service.kill()
            self.agent.service.start()
            self.await_kept(kept)
            self.assertEqual(2, len(self.snapshots_left()))
            copy = self.copy(group_snapshot_id=kept)
            self.assertEqual(before, self.digests(copy))
            self.drop(kept)
            self.assertEqual([], self.snapshots_left())
