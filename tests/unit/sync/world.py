"""Both sides in memory, a driver between them, and listeners by hand."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import random
from typing import Any
import uuid

from cinder_virtdc.bus.fake_agent import FakeAgent
from cinder_virtdc.clock import FakeClock
from cinder_virtdc.cloud.fake_cloud import FakeCloud
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.listener.keeper import Intervals
from cinder_virtdc.listener.parts import Manner
from cinder_virtdc.listener.parts import Parts
from cinder_virtdc.listener.writer import Pace
from cinder_virtdc.translate import GIB
from tests.unit.driver import builders
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Notification
from virtdc_agent.contract.events import State


class Listener:
    """One listener without threads: it does what it is told to do."""

    def __init__(self, world: World, **manner: Any) -> None:
        self._world = world
        self.parts = Parts.of(
            clock=world.clock,
            cloud=world.cloud,
            client=builders.client_of(world.agent),
            manner=Manner(
                pace=Pace(min_interval_s=0, duty=1.0),
                **{'hold_after_s': 1.0, **manner},
            ),
        )
        self.keeper = self.parts.keeper(Intervals())

    def work(self) -> None:
        """Do what is due."""
        for _ in range(10):
            self.parts.syncer.drain()
            self.parts.writer.drain()
            self.keeper.catch_up()

    def resync(self) -> None:
        """Compare both sides, and do what follows."""
        self.keeper.resync()
        self.work()


class World:
    """A cloud, a data centre, a bus that loses things, listeners.

    :ivar lost: notifications that are on their way, by hand.
    """

    def __init__(self, *, listeners: int = 1, **manner: Any) -> None:
        self.clock = FakeClock()
        self.agent = FakeAgent()
        self.cloud = FakeCloud()
        self.cloud.extends = self._extend
        self.cloud.deletes = self._delete
        self.manner = manner
        self.heard: list[Notification] = []
        self.delivers = True
        self.listeners = [Listener(self, **manner) for _ in range(listeners)]
        self.agent.subscribers.append(self._on_bus)

    def create(self, volume_id: str = 'volume-1', **said: Any) -> None:
        """Let a user create a volume in the cloud."""
        self.cloud.add(
            CloudVolume(
                volume_id=volume_id,
                platform_id=volume_id,
                status='creating',
                size_gib=1,
                properties={'mine': '1'},
                name='first',
                volume_type='gold',
                project_id='project',
                user_id='user',
            )
        )
        self.run(
            volume_id,
            events.CreateParameters(
                size_bytes=GIB,
                name='first',
                metadata={'mine': '1', 'virtdc.volume_type': 'gold'},
            ),
        )
        self.change(volume_id, status='available', **said)

    def run(self, volume_id: str, parameters: events.Parameters) -> str:
        """Have an event of the cloud's driver done; return its id."""
        event = builders.event(
            str(uuid.uuid5(uuid.NAMESPACE_OID, str(len(self.agent.events)))),
            parameters,
            volume_id=volume_id,
        )
        self.agent.submit(event)
        self.agent.finish(event.event_id)
        return event.event_id

    def platform(self, volume_id: str, parameters: events.Parameters) -> None:
        """Have the data centre itself change something, from end to end."""
        event = self.agent.platform(volume_id, parameters)
        self.agent.run(event.event_id)
        self.agent.finish(event.event_id)

    def finish_all(self) -> None:
        """Let all open events succeed."""
        for event_id in list(self.agent.events):
            latest = self.agent.latest(event_id)
            if latest and not latest.state.is_final:
                self.agent.finish(event_id)

    def change(self, volume_id: str, **changes: Any) -> None:
        """Change what Cinder has, as a user or Cinder itself."""
        self.cloud.volumes[volume_id] = dataclasses.replace(
            self.cloud.volumes[volume_id], **changes
        )

    def deliver(self, count: int | None = None) -> None:
        """Have what is on the bus arrive, each with one listener."""
        for _ in range(len(self.heard) if count is None else count):
            if not self.heard:
                return
            notification = self.heard.pop(0)
            self._turn = getattr(self, '_turn', 0) + 1
            listener = self.listeners[self._turn % len(self.listeners)]
            listener.keeper.offer(notification)

    def settle(self) -> None:
        """Let everything come to rest."""
        self.delivers = True
        self.cloud.is_down = self.agent.is_down = False
        self.agent.tells = True
        for _ in range(4):
            self.finish_all()
            self.deliver()
            for listener in self.listeners:
                listener.work()
            self.clock.advance(70)
            for listener in self.listeners:
                listener.resync()

    def restart(self, number: int = 0) -> None:
        """Let a listener begin anew; it remembers nothing."""
        self.listeners[number] = Listener(self, **self.manner)

    def shown(self, volume_id: str = 'volume-1') -> dict[str, str]:
        """Return the properties that a volume has in the cloud."""
        return dict(self.cloud.volumes[volume_id].properties)

    def shuffle(self, dice: random.Random) -> None:
        """Mix up, repeat and lose what is on the bus."""
        kept = [one for one in self.heard if dice.random() > 0.3]
        kept += [one for one in kept if dice.random() < 0.3]
        dice.shuffle(kept)
        self.heard = kept

    def _on_bus(self, notification: Notification) -> None:
        self.heard.append(notification)

    def _extend(self, volume_id: str, size_gib: int) -> bool:
        if volume_id not in self.agent.volumes:
            return False
        self.run(
            self.cloud.volumes[volume_id].platform_id,
            events.ExtendParameters(size_bytes=size_gib * GIB),
        )
        return True

    def _delete(self, volume_id: str) -> None:
        self.run(volume_id, events.DeleteParameters())


Step = Callable[[], None]
__all__ = ['Listener', 'State', 'World']
