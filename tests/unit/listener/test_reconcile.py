from __future__ import annotations

import dataclasses
from typing import Any
import unittest

from hypothesis import given
from hypothesis import strategies as st

from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.sync import properties
from cinder_virtdc.sync import reconcile
from cinder_virtdc import translate
from tests.unit.driver.builders import NOW
from tests.unit.driver.builders import transition
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume

GIB = 1024**3
MADE = transition(3, State.SUCCESS)
COPIED = transition(3, State.SUCCESS, operation=Operation.CLONE)


def cloud_volume(**rest: Any) -> CloudVolume:
    return CloudVolume(
        **{
            'volume_id': 'volume-1',
            'platform_id': 'volume-1',
            'status': 'available',
            'size_gib': 1,
            'properties': {'mine': '1'},
            **rest,
        }
    )


def platform_volume(**rest: Any) -> Volume:
    return Volume(
        **{
            'volume_id': 'volume-1',
            'size_bytes': GIB,
            'format': Format.RAW,
            'provisioning': Provisioning.THIN,
            'created_at': NOW,
            'updated_at': NOW,
            **rest,
        }
    )


def actions(
    volume: CloudVolume,
    latest: Transition | None,
    platform: Volume | None = None,
    last_sequence: int = 100,
) -> list[reconcile.Action]:
    return list(
        reconcile.reconcile(
            reconcile.Sides(
                volume=volume,
                latest=latest,
                platform=platform,
                last_sequence=last_sequence,
            )
        )
    )


def carried_out(
    volume: CloudVolume, todo: list[reconcile.Action]
) -> CloudVolume:
    """Return the volume after these actions."""
    for action in todo:
        match action:
            case reconcile.Show():
                shown = {
                    **volume.properties,
                    **properties.properties_of(action.transition),
                }
                for key in action.outdated:
                    del shown[key]
                volume = dataclasses.replace(volume, properties=shown)
            case reconcile.MakeAvailable():
                volume = dataclasses.replace(volume, status='available')
            case reconcile.Grow():
                volume = dataclasses.replace(volume, size_gib=action.size_gib)
    return volume


class ShowTest(unittest.TestCase):
    def shows(self, latest: Transition, **rest: str) -> CloudVolume:
        return cloud_volume(
            properties={
                'mine': '1',
                **properties.properties_of(latest),
                **rest,
            }
        )

    def test_nothing_is_known(self) -> None:
        self.assertEqual([], actions(cloud_volume(), None))

    def test_nothing_is_shown_yet(self) -> None:
        self.assertEqual(
            [reconcile.Show(volume_id='volume-1', transition=MADE)],
            actions(cloud_volume(), MADE),
        )

    def test_all_is_shown(self) -> None:
        self.assertEqual([], actions(self.shows(MADE), MADE))

    def test_something_older_is_shown(self) -> None:
        [show] = actions(self.shows(transition(2)), MADE)
        assert isinstance(show, reconcile.Show)
        self.assertEqual((), show.outdated)

    def test_something_later_is_shown(self) -> None:
        self.assertEqual([], actions(self.shows(transition(9)), MADE))

    def test_the_removal_of_a_migrated_volumes_old_data_is_shown(self) -> None:
        removal = transition(9, operation=Operation.DELETE)
        volume = dataclasses.replace(self.shows(removal), platform_id='data')
        latest = transition(3, State.SUCCESS, volume_id='data')
        [show] = actions(volume, latest)
        self.assertEqual([], actions(carried_out(volume, [show]), latest))

    def test_something_of_a_lost_journal_is_shown(self) -> None:
        self.assertEqual(1, len(actions(self.shows(transition(999)), MADE)))

    def test_a_failure_is_outdated(self) -> None:
        volume = self.shows(transition(2, State.FAILED))
        [show] = actions(volume, MADE)
        assert isinstance(show, reconcile.Show)
        self.assertEqual(properties.FAILURE_KEYS, show.outdated)
        self.assertEqual(
            self.shows(MADE).properties,
            carried_out(volume, [show]).properties,
        )

    def test_a_key_was_changed_by_someone(self) -> None:
        volume = self.shows(MADE, **{'virtdc.state': 'nonsense'})
        self.assertEqual(1, len(actions(volume, MADE)))

    def test_a_reason_that_should_not_be_there(self) -> None:
        volume = self.shows(MADE, **{'virtdc.reason': 'backend'})
        [show] = actions(volume, MADE)
        assert isinstance(show, reconcile.Show)
        self.assertEqual(('virtdc.reason',), show.outdated)

    def test_a_deleted_volume_needs_nothing(self) -> None:
        deleted = transition(9, State.SUCCESS, operation=Operation.DELETE)
        self.assertEqual([], actions(cloud_volume(), deleted))


class MakeAvailableTest(unittest.TestCase):
    def makes(
        self,
        volume: dict[str, Any] | None = None,
        latest: Transition | None = MADE,
        platform: Volume | None = None,
        gone: bool = False,
    ) -> bool:
        todo = actions(
            cloud_volume(**{'status': 'error', **(volume or {})}),
            latest,
            None if gone else platform or platform_volume(),
        )
        return any(isinstance(one, reconcile.MakeAvailable) for one in todo)

    def test_a_create_that_outlived_cinder_volume(self) -> None:
        self.assertTrue(self.makes())

    def test_a_copy_that_outlived_cinder_volume(self) -> None:
        self.assertTrue(self.makes({'is_copy': True}, COPIED))
        self.assertTrue(
            self.makes(
                {'is_copy': True, 'size_gib': 2},
                COPIED,
                platform_volume(size_bytes=2 * GIB),
            )
        )

    def test_a_copy_that_cinder_was_to_make_bootable(self) -> None:
        metadata = {translate.TO_BE_FILLED: 'true'}
        self.assertFalse(
            self.makes(
                {'is_copy': True}, COPIED, platform_volume(metadata=metadata)
            )
        )

    def test_whatever_speaks_against_it(self) -> None:
        for name, case in {
            'in use': {'volume': {'status': 'in-use'}},
            'being made': {'volume': {'status': 'creating'}},
            'being deleted': {'volume': {'status': 'deleting'}},
            'not deleted': {'volume': {'status': 'error_deleting'}},
            'not extended': {'volume': {'status': 'error_extending'}},
            'attached': {'volume': {'is_attached': True}},
            'from an image': {'volume': {'is_plain': False}},
            'a copy that Cinder fills': {'volume': {'is_copy': True}},
            'no copy': {'latest': COPIED},
            'snapshot since': {
                'latest': transition(
                    9, State.SUCCESS, operation=Operation.SNAPSHOT
                )
            },
            'reverted since': {
                'latest': transition(
                    9, State.SUCCESS, operation=Operation.REVERT
                )
            },
            'of another size': {'volume': {'size_gib': 2}},
            'unknown': {'latest': None},
            'still running': {'latest': transition(3)},
            'failed': {'latest': transition(3, State.FAILED)},
            'used since': {
                'latest': transition(
                    9, State.SUCCESS, operation=Operation.CONNECT
                )
            },
            'deleted since': {
                'latest': transition(
                    9, State.FAILED, operation=Operation.DELETE
                )
            },
            'gone': {'gone': True},
            'attached there': {
                'platform': platform_volume(attached_to=('host',))
            },
            'grown there': {'platform': platform_volume(size_bytes=2 * GIB)},
            'to be filled': {
                'platform': platform_volume(
                    metadata={translate.TO_BE_FILLED: 'true'}
                )
            },
            'another': {'platform': platform_volume(volume_id='volume-2')},
        }.items():
            with self.subTest(name):
                self.assertFalse(self.makes(**case))

    def test_a_migrated_volume_is_known_by_its_data(self) -> None:
        self.assertTrue(
            self.makes(
                volume={'platform_id': 'data-1'},
                latest=transition(3, State.SUCCESS, volume_id='data-1'),
                platform=platform_volume(volume_id='data-1'),
            )
        )


KEYS = st.sampled_from([*sorted(properties.KEYS), 'mine', 'virtdc.other', ''])
VOLUMES = st.builds(
    CloudVolume,
    volume_id=st.just('volume-1'),
    platform_id=st.sampled_from(['volume-1', 'data-1']),
    status=st.sampled_from(['error', 'available', 'in-use', 'deleting']),
    size_gib=st.integers(1, 2),
    properties=st.dictionaries(
        KEYS, st.sampled_from(['', '1', '7', '200', 'success', 'failed'])
    ),
    is_attached=st.booleans(),
    is_copy=st.booleans(),
    is_plain=st.booleans(),
)
TRANSITIONS = st.builds(
    lambda sequence, state, operation: transition(
        sequence,
        state,
        operation=operation,
        reason=Reason.BACKEND if state is State.FAILED else None,
    ),
    st.integers(1, 100),
    st.sampled_from(list(State)),
    st.sampled_from(list(Operation)),
)
PLATFORM = st.one_of(
    st.none(),
    st.builds(
        platform_volume,
        size_bytes=st.sampled_from([GIB, 2 * GIB]),
        attached_to=st.sampled_from([(), ('host',)]),
    ),
)


class LawsTest(unittest.TestCase):
    @given(volume=VOLUMES, latest=TRANSITIONS, platform=PLATFORM)
    def test_once_done_nothing_is_left_to_do(
        self, volume: CloudVolume, latest: Transition, platform: Volume | None
    ) -> None:
        todo = actions(volume, latest, platform)
        after = carried_out(volume, todo)
        self.assertEqual([], actions(after, latest, platform))

    @given(volume=VOLUMES, latest=TRANSITIONS, platform=PLATFORM)
    def test_what_is_not_ours_is_never_touched(
        self, volume: CloudVolume, latest: Transition, platform: Volume | None
    ) -> None:
        after = carried_out(volume, actions(volume, latest, platform))
        self.assertEqual(
            {k: v for k, v in volume.properties.items() if 'virtdc.' not in k},
            {k: v for k, v in after.properties.items() if 'virtdc.' not in k},
        )
        self.assertEqual(
            volume.properties.get('virtdc.other'),
            after.properties.get('virtdc.other'),
        )

    @given(volume=VOLUMES, latest=TRANSITIONS, platform=PLATFORM)
    def test_the_status_changes_only_from_error_to_available(
        self, volume: CloudVolume, latest: Transition, platform: Volume | None
    ) -> None:
        after = carried_out(volume, actions(volume, latest, platform))
        if after.status != volume.status:
            self.assertEqual(
                ('error', 'available'), (volume.status, after.status)
            )

    @given(
        volume=VOLUMES,
        history=st.lists(TRANSITIONS, min_size=1, max_size=8),
        platform=PLATFORM,
    )
    def test_a_walk_ends_with_the_latest_shown(
        self,
        volume: CloudVolume,
        history: list[Transition],
        platform: Volume | None,
    ) -> None:
        """Comparisons at any moments, of what was latest at each."""
        history = sorted(history, key=lambda one: one.sequence)
        volume = dataclasses.replace(volume, properties={'mine': '1'})
        for latest in history:
            volume = carried_out(volume, actions(volume, latest, platform))
        if not properties.ends_volume(history[-1]):
            self.assertEqual(
                {'mine': '1', **properties.properties_of(history[-1])},
                volume.properties,
            )
