"""Any interleaving of changes on both sides, and then quiet."""

from __future__ import annotations

import logging
import random
import unittest

from hypothesis import settings
from hypothesis import stateful
from hypothesis import strategies as st

from cinder_virtdc import exceptions
from cinder_virtdc.sync import edits
from cinder_virtdc.translate import GIB
from tests.unit.sync.world import World
from virtdc_agent.contract.alarms import AlarmChange
from virtdc_agent.contract import catalogue
from virtdc_agent.contract import events

DELETED = catalogue.VOLUME_DELETED.kind
VOLUMES = ('volume-1', 'volume-2')

volume_ids = st.sampled_from(VOLUMES)
names = st.sampled_from(['a', 'b', 'c', ''])
metadata = st.dictionaries(
    st.sampled_from(['x', 'y', 'not/cinder']), st.sampled_from(['1', '2'])
)
numbers = st.integers(0, 1)


class Walk(stateful.RuleBasedStateMachine):
    """Users, operators, faults, and two listeners."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(listeners=2)
        self.agent, self.cloud = self.world.agent, self.world.cloud
        for volume_id in VOLUMES:
            self.world.create(volume_id)
        for listener in self.world.listeners:
            listener.resync()

    # What users do in the cloud.

    @stateful.rule(volume_id=volume_ids, name=names)
    def rename(self, volume_id: str, name: str) -> None:
        if volume_id in self.cloud.volumes:
            self.world.change(volume_id, name=name)

    @stateful.rule(volume_id=volume_ids, value=st.sampled_from('123'))
    def tag(self, volume_id: str, value: str) -> None:
        if volume_id in self.cloud.volumes:
            shown = self.world.shown(volume_id)
            self.world.change(volume_id, properties={**shown, 'x': value})

    @stateful.rule(volume_id=volume_ids)
    def attach_or_detach(self, volume_id: str) -> None:
        volume = self.cloud.volumes.get(volume_id)
        platform = self.agent.volumes.get(volume_id)
        if volume is None:
            return
        if volume.status == 'available' and platform is not None:
            self.world.run(volume_id, events.ConnectParameters(host='host'))
            self.world.change(volume_id, status='in-use', is_attached=True)
        elif volume.status == 'in-use':
            self.world.run(volume_id, events.DisconnectParameters(host='host'))
            self.world.change(volume_id, status='available', is_attached=False)

    @stateful.rule(volume_id=volume_ids, more=st.integers(1, 3))
    def extend(self, volume_id: str, more: int) -> None:
        volume = self.cloud.volumes.get(volume_id)
        if volume is None or self.is_open(volume_id):
            return
        try:
            self.cloud.extend(volume_id, volume.size_gib + more)
        except exceptions.CloudError:
            pass

    # What operators do in the data centre.

    @stateful.rule(
        volume_id=volume_ids,
        name=st.none() | names,
        metadata=st.none() | metadata,
    )
    def edit(
        self, volume_id: str, name: str | None, metadata: dict[str, str] | None
    ) -> None:
        self.begin(
            volume_id, events.EditParameters(name=name, metadata=metadata)
        )

    @stateful.rule(volume_id=volume_ids, size=st.integers(1, 12))
    def grow(self, volume_id: str, size: int) -> None:
        platform = self.agent.volumes.get(volume_id)
        if platform is not None:
            self.begin(
                volume_id,
                events.ExtendParameters(
                    size_bytes=platform.size_bytes + size * GIB // 2
                ),
            )

    @stateful.rule(volume_id=volume_ids)
    def delete(self, volume_id: str) -> None:
        self.begin(volume_id, events.DeleteParameters())

    @stateful.rule(volume_id=volume_ids)
    def restore(self, volume_id: str) -> None:
        if volume_id in self.agent.trash:
            self.begin(volume_id, events.RestoreParameters())

    @stateful.rule(does_fail=st.booleans())
    def finish(self, does_fail: bool) -> None:
        """Let the oldest open event end."""
        for event_id in self.agent.events:
            latest = self.agent.latest(event_id)
            if latest is not None and not latest.state.is_final:
                if does_fail:
                    self.agent.fail(event_id)
                else:
                    self.agent.finish(event_id)
                return

    # What goes wrong.

    @stateful.rule(seed=st.integers(0, 99))
    def mix_up(self, seed: int) -> None:
        self.world.shuffle(random.Random(seed))

    @stateful.rule(number=numbers)
    def restart(self, number: int) -> None:
        self.world.restart(number)

    @stateful.rule(down=st.booleans())
    def cloud_down(self, down: bool) -> None:
        self.cloud.is_down = down

    @stateful.rule(down=st.booleans())
    def agent_down(self, down: bool) -> None:
        self.agent.is_down = down

    # What the listeners do.

    @stateful.rule(count=st.integers(1, 5), number=numbers)
    def listen(self, count: int, number: int) -> None:
        self.world.deliver(count)
        self.quietly(self.world.listeners[number].work)

    @stateful.rule(number=numbers)
    def resync(self, number: int) -> None:
        self.quietly(self.world.listeners[number].resync)

    @stateful.rule(seconds=st.sampled_from([1, 5, 60]))
    def wait(self, seconds: int) -> None:
        self.world.clock.advance(seconds)

    def teardown(self) -> None:
        self.world.settle()
        for volume_id in VOLUMES:
            self.check(volume_id)
        self.check_alarms()

    def check(self, volume_id: str) -> None:
        """Both sides agree, or an alarm says that they cannot."""
        volume = self.cloud.volumes[volume_id]
        platform = self.agent.volumes.get(volume_id)
        assert 'virtdc.held' not in volume.properties, volume
        if platform is None:
            assert (DELETED, volume_id) in self.agent.alarms.raised
            assert volume.properties.get('virtdc.alarm') == DELETED, volume
            expected = 'in-use' if volume.is_attached else 'error'
            assert volume.status == expected, volume
            return
        assert (DELETED, volume_id) not in self.agent.alarms.raised
        assert 'virtdc.alarm' not in volume.properties, volume
        expected = 'in-use' if volume.is_attached else 'available'
        assert volume.status == expected, volume
        assert platform.size_bytes == volume.size_gib * GIB, (volume, platform)
        said = edits.fields_of_cloud(
            name=volume.name,
            description=volume.description,
            properties=volume.properties,
            volume_type=volume.volume_type,
        )
        assert said == edits.fields_of_platform(platform), (said, platform)

    def check_alarms(self) -> None:
        """Every deletion has raised one alarm, and nothing else has."""
        raised = [
            subject
            for change, kind, subject in self.agent.alarms.history
            if change is AlarmChange.RAISED and kind == DELETED
        ]
        deleted = [
            one.volume_id
            for one in self.agent.history
            if one.operation is events.Operation.DELETE
            and one.state is events.State.SUCCESS
            and self.agent.events[one.event_id].event_id
            in self.agent.effective_deletions
        ]
        assert sorted(raised) == sorted(deleted), (raised, deleted)
        assert {kind for kind, _ in self.agent.alarms.raised} <= {DELETED}

    def begin(self, volume_id: str, parameters: events.Parameters) -> None:
        if not self.is_open(volume_id):
            self.agent.platform(volume_id, parameters)

    def is_open(self, volume_id: str) -> bool:
        """Say whether the queue of a volume is not empty."""
        return any(
            not latest.state.is_final
            for event in self.agent.events.values()
            if event.volume_id == volume_id
            and (latest := self.agent.latest(event.event_id)) is not None
        )

    def quietly(self, work: object) -> None:
        logging.disable(logging.CRITICAL)
        try:
            work()  # type: ignore[operator]
        except exceptions.VirtDCError:
            pass
        finally:
            logging.disable(logging.NOTSET)


class WalkTest(Walk.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


if __name__ == '__main__':
    unittest.main()
