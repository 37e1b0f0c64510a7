"""The parts that keep both sides in step, put together once.

The listener runs them for ever; a command has them do one thing.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import socket
from typing import Any
import uuid

from oslo_config import cfg
import oslo_messaging

from cinder_virtdc.alarms.book import AlarmBook
from cinder_virtdc.bus.caller import BusCaller
from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.bus import session
from cinder_virtdc.clock import Clock
from cinder_virtdc.clock import SystemClock
from cinder_virtdc.cloud.adopting import AdoptingCloud
from cinder_virtdc.cloud.adopting import SdkAdoptingCloud
from cinder_virtdc.cloud.interfaces import Cloud
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc.cloud.pace import TokenBucket
from cinder_virtdc.cloud.repairs import Repairs
from cinder_virtdc.cloud.repairs import SdkRepairs
from cinder_virtdc.cloud.sdk import SdkCloud
from cinder_virtdc import exceptions
from cinder_virtdc.listener.adopter import Adopter
from cinder_virtdc.listener.adopter import Into
from cinder_virtdc.listener.commanded import Commanded
from cinder_virtdc.listener.comparison import Comparison
from cinder_virtdc.listener.follow import Follower
from cinder_virtdc.listener.hands import Hands
from cinder_virtdc.listener.keeper import Intervals
from cinder_virtdc.listener.keeper import Keeper
from cinder_virtdc.listener.metering import MeteredCaller
from cinder_virtdc.listener.rescue import Rescue
from cinder_virtdc.listener.router import Router
from cinder_virtdc.listener.sight import Sight
from cinder_virtdc.listener.size_watch import SizeWatch
from cinder_virtdc.listener.syncer import Syncer
from cinder_virtdc.listener.writer import Pace
from cinder_virtdc.listener.writer import Writer
from cinder_virtdc.meter import Meter
from cinder_virtdc.meter import Pulse
from cinder_virtdc import opts
from cinder_virtdc.remedies import Remedies
from cinder_virtdc.sync.policy import Policy
from virtdc_agent.contract.events import Volume
from virtdc_agent.contract import sealing
from virtdc_agent.monitoring.trail import EventTrail


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How to go about it; see the options of these names."""

    hosts: Sequence[str] = ()
    policy: Policy = Policy.ASK
    hold_after_s: float = 1.0
    pace: Pace = Pace()
    stuck_after_s: float = 60.0
    into: Into | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """All of them; none is started."""

    clock: Clock
    cloud: Cloud
    client: AgentClient
    book: AlarmBook
    follower: Follower
    sight: Sight
    writer: Writer
    syncer: Syncer
    router: Router
    comparison: Comparison
    remedies: Remedies
    rescue: Rescue | None = None
    adopter: Adopter | None = None
    notifications: oslo_messaging.Transport | None = None
    seal: sealing.Seal = dataclasses.field(default_factory=sealing.Seal)

    @classmethod
    def from_config(
        cls,
        conf: cfg.ConfigOpts,
        *,
        on_request: Callable[[], None] = lambda: None,
        meter: Meter | None = None,
        trail: EventTrail | None = None,
    ) -> Parts:
        """Return the parts that the configuration describes.

        Asks nothing yet.

        :param on_request: called before each request to Cinder.
        :param meter: is told of requests, calls and repairs.
        :param trail: follows events through logs and traces.
        :raises ConfigInvalid: the configuration cannot work.
        """
        options = conf[opts.LISTENER_GROUP]
        calls, notifications = session.open_transports(
            conf, None, option='[DEFAULT] transport_url'
        )
        clock = SystemClock()
        seal = session.open_seal(
            options.key_file,
            accept_unsigned=options.accept_unsigned,
            option=f'[{opts.LISTENER_GROUP}] key_file',
            clock=clock,
        )
        bucket = TokenBucket(
            clock,
            rate=options.cinder_requests_per_s,
            burst=options.cinder_requests_per_s,
        )

        def pace() -> None:
            on_request()
            bucket.take()

        meter = meter or Meter()
        cloud = SdkCloud.from_config(conf, pace, meter)

        @functools.cache
        def in_project(project_id: str) -> SdkCloud:
            return SdkCloud.from_config(
                conf, pace, meter, project_id=project_id
            )

        return cls.of(
            clock=clock,
            cloud=cloud,
            repairs=SdkRepairs(cloud),
            adopting=SdkAdoptingCloud(cloud, in_project),
            client=AgentClient(
                MeteredCaller(
                    BusCaller(calls, topic=options.topic, seal=seal), meter
                ),
                clock=clock,
                submit_timeout_s=options.rpc_timeout_s,
                rpc_timeout_s=options.rpc_timeout_s,
            ),
            manner=Manner(
                hosts=options.hosts,
                policy=Policy(options.on_deletion),
                hold_after_s=options.hold_after_s,
                stuck_after_s=options.stuck_after_s,
                into=_into(options),
                pace=Pace(
                    min_interval_s=options.write_min_interval_s,
                    duty=options.write_duty_percent / 100,
                ),
            ),
            notifications=notifications,
            seal=seal,
            meter=meter,
            trail=trail,
        )

    def keeper(
        self,
        intervals: Intervals,
        *,
        on_alarms: Callable[[], None] = lambda: None,
        meter: Meter | None = None,
        pulse: Pulse | None = None,
    ) -> Keeper:
        """Return what has them do everything in its time; not started."""
        return Keeper(
            sight=self.sight,
            follower=self.follower,
            book=self.book,
            comparison=self.comparison,
            router=self.router,
            sync=self.syncer.sync,
            ring=self.syncer.ring,
            clock=self.clock,
            intervals=intervals,
            on_alarms=on_alarms,
            rescue=self.rescue,
            commanded=Commanded(self.client, listener=_name_of_this()),
            meter=meter,
            pulse=pulse,
        )

    @classmethod
    def of(
        cls,
        *,
        clock: Clock,
        cloud: Cloud,
        client: AgentClient,
        manner: Manner,
        repairs: Repairs | None = None,
        adopting: AdoptingCloud | None = None,
        notifications: oslo_messaging.Transport | None = None,
        seal: sealing.Seal | None = None,
        meter: Meter | None = None,
        trail: EventTrail | None = None,
    ) -> Parts:
        """Put the parts together around two sides.

        :param repairs: ``None``: what is stuck is left as it is.
        :param adopting: needed, with ``repairs``, where the manner says
            ``into`` what the data centre makes is to be managed.
        """
        book = AlarmBook(client)
        # The follower tells the router, which is told of last.
        routers: list[Router] = []
        follower = Follower(client, lambda one: routers[0].take(one))
        sight = Sight(
            client=client,
            cloud=cloud,
            follower=follower,
            book=book,
            hosts=manner.hosts,
            policy=manner.policy,
        )
        writer = Writer(
            cloud,
            clock=clock,
            pace=manner.pace,
            more=sight.base_of_new,
            trail=trail,
        )
        syncer = Syncer(
            sight.look,
            Hands(cloud, client, show=writer.show, now=clock.now),
            clock=clock,
            gone=writer.has_none,
            meter=meter,
        )
        syncer.witness = SizeWatch(client, book, syncer.ring)
        adopter: Adopter | None = None
        if manner.into and repairs and adopting:
            adopter = Adopter(
                manner.into,
                client=client,
                cloud=cloud,
                repairs=repairs,
                adopting=adopting,
                book=book,
                clock=clock,
                latest=follower.latest,
                know=writer.know,
                ring=syncer.ring,
                holder=_name_of_this(),
            )

        def done(platform_id: str) -> None:
            if adopter is not None:
                adopter.ring(platform_id)

        def compared(
            platform: Mapping[str, Volume], volumes: Sequence[CloudVolume]
        ) -> None:
            if adopter is not None:
                adopter.compare(platform, volumes)

        routers.append(
            Router(
                writer,
                syncer.ring,
                hold_after_s=manner.hold_after_s,
                on_done=done,
            )
        )
        return cls(
            clock=clock,
            cloud=cloud,
            client=client,
            book=book,
            follower=follower,
            sight=sight,
            writer=writer,
            syncer=syncer,
            router=routers[0],
            comparison=Comparison(
                sight=sight,
                follower=follower,
                client=client,
                book=book,
                writer=writer,
                ring=syncer.ring,
                also=compared,
            ),
            adopter=adopter,
            remedies=Remedies(cloud, client),
            rescue=(
                None
                if repairs is None
                else Rescue(
                    client=client,
                    cloud=cloud,
                    repairs=repairs,
                    clock=clock,
                    grace_s=manner.stuck_after_s,
                    hosts=manner.hosts,
                )
            ),
            notifications=notifications,
            seal=seal or sealing.Seal(),
        )


def _into(options: Any) -> Into | None:
    """Return where what the data centre makes is managed into, if anywhere.

    :raises ConfigInvalid: only half of it is said.
    """
    project_id = options.managed_project_id
    volume_type = options.managed_volume_type
    if not project_id and not volume_type:
        return None
    if not (project_id and volume_type):
        raise exceptions.ConfigInvalid(
            '[virtdc] managed_project_id and managed_volume_type are needed '
            'both, or none of them.'
        )
    return Into(
        project_id=project_id,
        volume_type=volume_type,
        hosts=tuple(options.hosts),
    )


def _name_of_this() -> str:
    """Name this listener among others, and this life of it."""
    return f'{socket.gethostname()}/{uuid.uuid4().hex}'
