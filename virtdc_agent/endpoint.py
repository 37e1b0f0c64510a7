"""Answers the calls of ``contract.rpc``.

Every refusal is an answer with a code, a sentence and, where it applies, the
field at fault; no exception crosses the bus.
"""

from __future__ import annotations

from collections.abc import Callable

import oslo_messaging

from virtdc_agent.alarm_calls import AlarmCalls
from virtdc_agent.answering import Answer
from virtdc_agent.answering import answered
from virtdc_agent.contract import codec
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract import events
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.manage_codec import MAX_REFERENCE
from virtdc_agent.contract.pieces import optional_identifier
from virtdc_agent.contract import rpc
from virtdc_agent.contract import sealing
from virtdc_agent.contract import topics
from virtdc_agent import exceptions
from virtdc_agent.exports import Exporters
from virtdc_agent.intake import Intake
from virtdc_agent import interfaces
from virtdc_agent.manageable import PoolContents
from virtdc_agent.mark_calls import MarkCalls
from virtdc_agent import model
from virtdc_agent import offering
from virtdc_agent.pools import Pools
from virtdc_agent.resync_calls import ResyncCalls


class AgentEndpoint(AlarmCalls, MarkCalls, ResyncCalls):
    """The agent's side of the calls. Safe from any thread.

    Arguments are whatever came over the bus, and are checked here.
    """

    target = oslo_messaging.Target(version=topics.RPC_VERSION)

    def __init__(
        self,
        *,
        journal: interfaces.Journal,
        intake: Intake,
        pools: Pools,
        exporters: Exporters,
        describe: Callable[[], events.Capacity],
        topic: str = topics.RPC_TOPIC,
        seal: sealing.Seal | None = None,
    ) -> None:
        self._topic = topic
        self._seal = seal or sealing.Seal()
        self._journal = journal
        self._alarms = journal
        self._marks = journal
        self._resyncs = journal
        self._intake = intake
        self._pools = pools
        self._contents = PoolContents(pools)
        self._exporters = exporters
        self._describe = describe

    @answered
    def submit(self, event: object = None) -> Answer:
        """Accept an event; it is durable when this answers."""
        return {'item': codec.encode(self._intake.receive(event))}

    @answered
    def get_events(self, event_ids: object = None) -> Answer:
        """Return the latest transitions of many events at once."""
        if isinstance(event_ids, list) and len(event_ids) > rpc.MAX_IDS:
            raise MalformedMessage(
                'event_ids', f'must have at most {rpc.MAX_IDS} entries'
            )
        ids = _identifiers(event_ids)
        latest = self._journal.get_latest(ids)
        return {'items': [codec.encode(item) for item in latest.values()]}

    @answered
    def get_changes(self, after: object = 0, limit: object = 100) -> Answer:
        """Return the transitions that follow a sequence."""
        reader = Reader({'after': after, 'limit': limit}, '')
        changes = self._journal.get_changes(
            reader.integer('after', minimum=0, maximum=2**63 - 1),
            reader.integer('limit', minimum=1, maximum=rpc.MAX_PAGE),
        )
        return {
            'items': [codec.encode(item) for item in changes.transitions],
            'oldest': changes.oldest,
            'last': changes.last,
            'resync': self._wanted_resync(),
        }

    def _wanted_resync(self) -> int | None:
        latest = self._journal.get_resync()
        if latest is None or latest.ended_at is not None:
            return None
        return latest.number

    @answered
    def cancel(self, event_id: object = None) -> Answer:
        """Withdraw an event; return its latest transition."""
        reader = Reader({'event_id': event_id}, '')
        return {
            'item': codec.encode(
                self._intake.cancel(reader.identifier('event_id'))
            )
        }

    @answered
    def get_volumes(
        self, marker: object = None, limit: object = 100
    ) -> Answer:
        """Return a page of volumes."""
        reader = Reader({'marker': marker, 'limit': limit}, '')
        page = self._journal.get_volumes(
            reader.identifier('marker') if reader.has('marker') else None,
            reader.integer('limit', minimum=1, maximum=rpc.MAX_PAGE),
        )
        return {
            'items': [codec.encode(volume) for volume in page.volumes],
            'next': page.next_marker,
        }

    @answered
    def get_volume(self, volume_id: object = None) -> Answer:
        """Return one volume."""
        reader = Reader({'volume_id': volume_id}, '')
        volume = self._journal.get_volume(reader.identifier('volume_id'))
        return {'item': codec.encode(volume)}

    @answered
    def get_trash(self, marker: object = None, limit: object = 100) -> Answer:
        """Return a page of volumes in the trash."""
        reader = Reader({'marker': marker, 'limit': limit}, '')
        page = self._journal.get_trash(
            reader.identifier('marker') if reader.has('marker') else None,
            reader.integer('limit', minimum=1, maximum=rpc.MAX_PAGE),
        )
        return {
            'items': [codec.encode(trashed) for trashed in page.trashed],
            'next': page.next_marker,
        }

    @answered
    def get_snapshots(
        self,
        volume_id: object = None,
        marker: object = None,
        limit: object = 100,
    ) -> Answer:
        """Return a page of snapshots, of one volume or of all."""
        reader = Reader(
            {'volume_id': volume_id, 'marker': marker, 'limit': limit}, ''
        )
        page = self._journal.get_snapshots(
            reader.identifier('volume_id')
            if reader.has('volume_id')
            else None,
            reader.identifier('marker') if reader.has('marker') else None,
            reader.integer('limit', minimum=1, maximum=rpc.MAX_PAGE),
        )
        return {
            'items': [codec.encode(one) for one in page.snapshots],
            'next': page.next_marker,
        }

    @answered
    def get_manageable(
        self,
        marker: object = None,
        limit: object = 100,
        reference: object = None,
        pool: object = None,
    ) -> Answer:
        """Return a page of what is, or may become, a volume in a pool."""
        return _page_of_manageable(
            self._contents.list_volumes,
            self._contents.find_volume,
            lambda found: offering.offered_volume(found, self._journal),
            *(marker, limit, reference, pool),
        )

    @answered
    def get_manageable_snapshots(
        self,
        marker: object = None,
        limit: object = 100,
        reference: object = None,
        pool: object = None,
    ) -> Answer:
        """Return a page of what is, or may become, a snapshot in a pool."""
        return _page_of_manageable(
            self._contents.list_snapshots,
            self._contents.find_snapshot,
            lambda found: offering.offered_snapshot(found, self._journal),
            *(marker, limit, reference, pool),
        )

    @answered
    def get_capacity(self) -> Answer:
        """Say what this agent is and what its storage can hold."""
        return {'item': codec.encode(self._describe())}

    @answered
    def get_connection(
        self, volume_id: object = None, host: object = None
    ) -> Answer:
        """Return what a host that is connected must know.

        It may hold secrets; it goes to the caller alone.
        """
        reader = Reader({'volume_id': volume_id, 'host': host}, '')
        volume = self._journal.get_volume(reader.identifier('volume_id'))
        name = reader.text('host', max_length=255)
        if name not in volume.attached_to:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is not connected to {name}: '
                'submit a connect event first.'
            )
        exporter = self._exporters.of(volume)
        volume = self._pools.placed(volume)
        return {'connection': dict(exporter.connection(volume, name))}


def _page_of_manageable(
    list_: Callable[[str | None, str | None, int], model.ManageablePage],
    find: Callable[[str | None, str], events.Manageable | None],
    offered: Callable[[events.Manageable], events.Manageable],
    marker: object,
    limit: object,
    reference: object,
    pool: object,
) -> Answer:
    reader = Reader(
        {
            'marker': marker,
            'limit': limit,
            'reference': reference,
            'pool': pool,
        },
        '',
    )
    name = optional_identifier(reader, 'pool')
    if reader.has('reference'):
        found = find(name, reader.text('reference', max_length=MAX_REFERENCE))
        page = model.ManageablePage(
            found=[] if found is None else [found], next_marker=None
        )
    else:
        page = list_(
            name,
            reader.text('marker', max_length=MAX_REFERENCE)
            if reader.has('marker')
            else None,
            reader.integer('limit', minimum=1, maximum=rpc.MAX_PAGE),
        )
    return {
        'items': [codec.encode(offered(one)) for one in page.found],
        'next': page.next_marker,
    }


def _identifiers(event_ids: object) -> list[str]:
    if not isinstance(event_ids, list):
        raise MalformedMessage('event_ids', 'must be a list')
    return [
        Reader({name: event_id}, '').identifier(name)
        for name, event_id in (
            (f'event_ids[{index}]', event_id)
            for index, event_id in enumerate(event_ids)
        )
    ]
