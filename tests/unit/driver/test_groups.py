"""Groups of volumes, as Cinder has the driver handle them."""

from __future__ import annotations

import dataclasses
from typing import Any
from unittest import mock

from cinder import exception
from cinder import objects
from cinder.volume import volume_utils

from cinder_virtdc.driver import core
from cinder_virtdc import exceptions
from cinder_virtdc import groups
from tests.unit.driver import builders
from tests.unit.driver import test_driver
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State

GIB = 1024**3


class GroupCase(test_driver.DriverTestCase):
    """Two volumes of a group whose type asks for snapshots at one instant."""

    def setUp(self) -> None:
        super().setUp()
        self.is_consistent = self.enterContext(
            mock.patch.object(
                volume_utils,
                'is_group_a_cg_snapshot_type',
                autospec=True,
                return_value=True,
            )
        )
        self.group = builders.group()
        self.volumes = [builders.volume(size=size) for size in (1, 2)]
        for volume in self.volumes:
            self.driver.create_volume(volume)
        self.snapshots = [builders.snapshot(one) for one in self.volumes]

    def operations(self, after: int = 2) -> list[Operation]:
        """Return what was done since the volumes were made."""
        return [event.operation for event in self.events()[after:]]

    def take(self) -> Any:
        return self.driver.create_group_snapshot(
            None, builders.group_snapshot(), self.snapshots
        )

    def fail(self, number: int, reason: Reason = Reason.BACKEND) -> None:
        """Have the n-th event from now on fail."""
        runner, left = self.driver._session.runner, number

        def run(event: events.Event) -> events.Transition:
            nonlocal left
            left -= 1
            if left:
                return type(runner).run(runner, event)
            raise exceptions.OperationFailed(
                builders.transition(
                    1, State.FAILED, reason=reason, message='It broke.'
                )
            )

        self.enterContext(
            mock.patch.object(runner, 'run', autospec=True, side_effect=run)
        )


class TestGroups(GroupCase):
    def test_a_group_is_cinders_own(self) -> None:
        self.assertEqual(
            {'status': 'available'}, self.driver.create_group(None, self.group)
        )
        self.assertEqual(
            (None, None, None),
            self.driver.update_group(
                None, self.group, add_volumes=self.volumes, remove_volumes=[]
            ),
        )
        self.assertEqual([], self.operations())

    def test_delete(self) -> None:
        self.assertEqual(
            (
                {'status': 'deleted'},
                [{'id': one.id, 'status': 'deleted'} for one in self.volumes],
            ),
            self.driver.delete_group(None, self.group, self.volumes),
        )
        self.assertEqual({}, self.agent.volumes)

    def test_one_that_cannot_be_deleted_keeps_no_other(self) -> None:
        self.fail(1, Reason.REJECTED)
        update, updates = self.driver.delete_group(
            None, self.group, self.volumes
        )
        self.assertEqual({'status': 'error_deleting'}, update)
        self.assertEqual(
            ['error_deleting', 'deleted'], [one['status'] for one in updates]
        )
        self.assertEqual({self.volumes[0].id}, set(self.agent.volumes))

    def test_stats_tell_whether_it_can(self) -> None:
        name = 'consistent_group_snapshot_enabled'
        self.assertIs(True, self.driver.get_volume_stats(refresh=True)[name])
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity, operations=core.NEEDED
        )
        self.assertIs(False, self.driver.get_volume_stats(refresh=True)[name])


class TestGroupSnapshots(GroupCase):
    def test_all_are_one_event(self) -> None:
        update, updates = self.take()
        self.assertEqual({'status': 'available'}, update)
        self.assertEqual(
            [{'id': s.id, 'status': 'available'} for s in self.snapshots],
            updates,
        )
        (event,) = self.events()[2:]
        self.assertEqual(
            events.SnapshotGroupParameters(
                snapshots={
                    one.volume.name_id: one.id for one in self.snapshots
                },
                name='before',
                description='the upgrade',
            ),
            event.parameters,
        )
        self.assertEqual('another', event.requested_by.user_id)
        self.assertEqual(
            {one.id for one in self.snapshots}, set(self.agent.snapshots)
        )

    def test_other_types_are_left_to_cinder(self) -> None:
        self.is_consistent.return_value = False
        with self.assertRaises(NotImplementedError):
            self.take()
        self.assertEqual([], self.operations())

    def test_a_refusal_is_told(self) -> None:
        self.fail(1, Reason.REJECTED)
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'It broke'
        ):
            self.take()

    def test_not_offered(self) -> None:
        self.agent.capacity = dataclasses.replace(
            self.agent.capacity, operations=core.NEEDED
        )
        self.driver.get_volume_stats(refresh=True)
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException,
            'does not offer.* snapshot_group:.*upgrade',
        ):
            self.take()
        self.assertEqual([], self.operations())

    def test_too_many(self) -> None:
        volumes = [builders.volume() for _ in range(257)]
        self.snapshots = [builders.snapshot(one) for one in volumes]
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'too large.*at most 256'
        ):
            self.take()

    def test_delete(self) -> None:
        self.take()
        self.fail(2)
        update, updates = self.driver.delete_group_snapshot(
            None, builders.group_snapshot(), self.snapshots
        )
        self.assertEqual({'status': 'error_deleting'}, update)
        self.assertEqual(
            ['deleted', 'error_deleting'], [one['status'] for one in updates]
        )
        self.assertEqual({self.snapshots[1].id}, set(self.agent.snapshots))


class TestGroupsFromOthers(GroupCase):
    def setUp(self) -> None:
        super().setUp()
        self.copies = [builders.volume(size=size) for size in (1, 2)]
        self.copy = builders.group(source_group_id=self.group.id)

    def clone(self) -> Any:
        return self.driver.create_group_from_src(
            *(None, self.copy, self.copies, None, None),
            *(self.group, self.volumes),
        )

    def test_from_a_snapshot(self) -> None:
        self.take()
        updates = self.driver.create_group_from_src(
            *(None, self.copy, self.copies, builders.group_snapshot()),
            self.snapshots,
        )
        self.assertEqual(groups.all_available(self.copies), updates)
        self.assertEqual(
            [one.id for one in self.snapshots],
            [event.parameters.snapshot_id for event in self.events()[3:]],
        )

    def test_from_a_group_is_of_one_instant(self) -> None:
        self.assertEqual(groups.all_available(self.copies), self.clone())
        self.assertEqual(
            [
                Operation.SNAPSHOT_GROUP,
                *(Operation.CLONE, Operation.CLONE),
                *(Operation.DELETE_SNAPSHOT, Operation.DELETE_SNAPSHOT),
            ],
            self.operations(),
        )
        self.assertEqual({}, self.agent.snapshots)

    def test_from_a_group_of_another_type(self) -> None:
        self.is_consistent.return_value = False
        self.clone()
        self.assertEqual([Operation.CLONE] * 2, self.operations())

    def test_one_that_cannot_be_copied_leaves_none(self) -> None:
        self.fail(3)
        with self.assertRaisesRegex(
            exception.VolumeBackendAPIException, 'It broke'
        ):
            self.clone()
        self.assertEqual(
            {one.id for one in self.volumes}, set(self.agent.volumes)
        )
        self.assertEqual({}, self.agent.snapshots)

    def test_what_a_killed_copy_left_goes_with_the_group(self) -> None:
        self.enterContext(
            mock.patch.object(
                objects.VolumeList,
                'get_all_by_generic_group',
                autospec=True,
                return_value=self.volumes,
            )
        )
        self.agent.snapshots = {
            groups.kept_id(self.copy.id, one.id): mock.sentinel.kept
            for one in self.volumes
        }
        self.driver.delete_group(None, self.copy, [])
        self.assertEqual({}, self.agent.snapshots)
