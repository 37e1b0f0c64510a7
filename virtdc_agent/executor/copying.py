"""Snapshots, and volumes made from volumes: the rules, then the backend.

As ``handlers``, of which it is a part. In-use protection is here: storage
knows nothing of who writes to a volume meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from virtdc_agent.capacity import size_text
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.executor import carrying
from virtdc_agent.executor import outcomes
from virtdc_agent.executor.room import Rooms
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.pools import Pool
from virtdc_agent.pools import Pools

Handler = Callable[[model.Claim, interfaces.OperationContext], model.Outcome]


class CopyHandlers:
    """Executes what copies volumes. Safe from any thread.

    :raises EventRejected: from any handler; says what stands in the way.
    """

    def __init__(
        self,
        *,
        pools: Pools,
        images: interfaces.Images,
        rooms: Rooms,
        clock: interfaces.Clock,
    ) -> None:
        self._pools = pools
        self._images = images
        self._rooms = rooms
        self._clock = clock
        self.handler_of: Mapping[Operation, Handler] = {
            Operation.SNAPSHOT: self._snapshot,
            Operation.SNAPSHOT_GROUP: self._snapshot_group,
            Operation.DELETE_SNAPSHOT: self._delete_snapshot,
            Operation.REVERT: self._revert,
            Operation.CLONE: self._clone,
            Operation.IMPORT: self._import,
        }

    def _snapshot(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        event, parameters = claim.event, claim.event.parameters
        if not isinstance(parameters, events.SnapshotParameters):
            raise TypeError(parameters)
        volume = outcomes.existing(claim)
        pool = self._pools.of(volume, event.operation)
        snapshot_id = parameters.snapshot_id
        outcomes.check_has_no(claim, snapshot_id)
        _check_at_rest(volume, at_once=pool.backend.has_instant_copies)
        facts = pool.backend.snapshot(volume.volume_id, snapshot_id, context)
        return outcomes.kept(
            event, parameters, facts=facts, now=self._clock.now()
        )

    def _snapshot_group(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        event, parameters = claim.event, claim.event.parameters
        if not isinstance(parameters, events.SnapshotGroupParameters):
            raise TypeError(parameters)
        members = {volume.volume_id: volume for volume in claim.members}
        _check_group(claim, parameters.snapshots, members)
        pool = self._pool_of_all(members.values(), event.operation)
        taken = pool.backend.snapshot_group(parameters.snapshots, context)
        facts_of = {facts.snapshot_id: facts for facts in taken}
        every = [
            (members[volume_id], facts_of[snapshot_id])
            for volume_id, snapshot_id in sorted(parameters.snapshots.items())
        ]
        return model.Outcome(
            state=State.SUCCESS,
            change=model.PutSnapshots(
                snapshots=tuple(
                    outcomes.snapshot(
                        *(event, parameters, volume.volume_id, facts),
                        self._clock.now(),
                    )
                    for volume, facts in every
                )
            ),
            result={
                'snapshots': [outcomes.told_of(facts) for _, facts in every]
            },
        )

    def _pool_of_all(
        self, volumes: Iterable[events.Volume], operation: Operation
    ) -> Pool:
        """Return the pool that all of a group are in.

        :raises EventRejected: they are not in one: two storages have no
            instant in common.
        """
        every = {
            pool.name: pool
            for pool in (
                self._pools.of(volume, operation) for volume in volumes
            )
        }
        if len(every) > 1:
            raise exceptions.EventRejected(
                f'The volumes are in the pools {outcomes.listing(every)}: '
                'snapshots at one instant are taken in one pool only.'
            )
        (pool,) = every.values()
        return pool

    def _delete_snapshot(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        parameters = claim.event.parameters
        if not isinstance(parameters, events.DeleteSnapshotParameters):
            raise TypeError(parameters)
        # Also without a record, as a volume: something may be left.
        for pool in (
            self._pools
            if claim.volume is None
            else (self._pools.of(claim.volume),)
        ):
            if claim.event.operation in pool.backend.operations:
                pool.backend.delete_snapshot(
                    claim.event.volume_id, parameters.snapshot_id, context
                )
        return model.Outcome(
            state=State.SUCCESS,
            change=model.RemoveSnapshot(snapshot_id=parameters.snapshot_id),
        )

    def _revert(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        parameters = claim.event.parameters
        if not isinstance(parameters, events.RevertParameters):
            raise TypeError(parameters)
        volume = outcomes.existing(claim)
        pool = self._pools.of(volume, claim.event.operation)
        snapshot = _snapshot_of(volume, claim, parameters.snapshot_id)
        if snapshot.size_bytes > volume.size_bytes:
            raise exceptions.EventRejected(
                f'Snapshot {snapshot.snapshot_id} has '
                f'{size_text(snapshot.size_bytes)}, more than volume '
                f'{volume.volume_id}: volumes never change their size so.'
            )
        if volume.attached_to:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is in use by '
                f'{outcomes.listing(volume.attached_to)}: detach it to '
                'revert it.'
            )
        pool.backend.revert(volume.volume_id, snapshot.snapshot_id, context)
        return outcomes.success(
            dataclasses.replace(volume, updated_at=self._clock.now())
        )

    def _clone(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        event, parameters = claim.event, claim.event.parameters
        if not isinstance(parameters, events.CloneParameters):
            raise TypeError(parameters)
        if claim.volume is not None or event.volume_id == parameters.source_id:
            raise outcomes.exists(event.volume_id)
        source = claim.source
        if source is None:
            raise exceptions.EventRejected(
                f'The data centre has no volume {parameters.source_id} to '
                'copy.'
            )
        origin = self._pools.of(source)
        pool = self._pools.choose(parameters.pool or origin.name)
        if parameters.snapshot_id is None:
            _check_at_rest(
                source,
                at_once=pool is origin and origin.backend.has_instant_copies,
            )
            least_bytes = source.size_bytes
        else:
            least_bytes = _snapshot_of(
                source, claim, parameters.snapshot_id
            ).size_bytes
        if parameters.size_bytes < least_bytes:
            raise exceptions.EventRejected(
                f'A copy of {size_text(least_bytes)} does not fit into '
                f'{size_text(parameters.size_bytes)}: ask for as much or '
                'more.'
            )
        outcomes.check_choices(
            pool.backend, parameters.format, parameters.provisioning
        )
        provisioning = parameters.provisioning or source.provisioning
        with self._rooms.reserve(pool, parameters.size_bytes, provisioning):
            if pool is origin:
                pool.check_offers(event.operation)
                facts = pool.backend.clone(
                    event.volume_id, parameters, context
                )
            else:
                with carrying.opened(
                    origin, source.volume_id, parameters.snapshot_id
                ) as image:
                    facts = carrying.receive(
                        *(pool, event.volume_id, image),
                        *(parameters.size_bytes, parameters.format),
                        *(provisioning, context),
                    )
        return outcomes.made(
            event,
            parameters,
            facts=facts,
            pool=pool.name,
            now=self._clock.now(),
        )

    def _import(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        event, parameters = claim.event, claim.event.parameters
        if not isinstance(parameters, events.ImportParameters):
            raise TypeError(parameters)
        if claim.volume is not None:
            raise outcomes.exists(event.volume_id)
        pool = self._pools.choose(parameters.pool)
        backend = pool.backend
        pool.check_offers(event.operation)
        outcomes.check_choices(
            backend, parameters.format, parameters.provisioning
        )
        provisioning = parameters.provisioning or backend.default_provisioning
        with (
            self._images.open(parameters, context) as image,
            self._rooms.reserve(pool, parameters.size_bytes, provisioning),
        ):
            facts = backend.import_image(
                event.volume_id, parameters, image, context
            )
        return outcomes.made(
            event,
            parameters,
            facts=facts,
            pool=pool.name,
            now=self._clock.now(),
        )


def _check_at_rest(volume: events.Volume, *, at_once: bool) -> None:
    """Refuse to copy what is written to meanwhile, unless at once."""
    if not volume.attached_to:
        return
    if not at_once:
        why = 'this storage copies it byte by byte'
    elif volume.format is Format.QCOW2:
        # Its user keeps tables of the image in memory.
        why = 'its qcow2 image is incomplete meanwhile'
    else:
        return
    raise exceptions.EventRejected(
        f'Volume {volume.volume_id} is in use by '
        f'{outcomes.listing(volume.attached_to)}, and {why}: detach it '
        'first.'
    )


def _check_group(
    claim: model.Claim,
    snapshots: Mapping[str, str],
    members: Mapping[str, events.Volume],
) -> None:
    """Refuse a group that cannot be kept as it is at one instant.

    Volumes that are written to are copied one after the other, however fast:
    what was written to the first after its turn, and before it to the last,
    would be missing in the one and there in the other.
    """
    for volume_id in claim.event.volume_ids:
        if volume_id not in snapshots:
            raise exceptions.EventRejected(
                f'The event is of volume {volume_id}, of which no snapshot '
                'is asked for.'
            )
        if volume_id not in members:
            raise exceptions.EventRejected(
                f'The data centre has no volume {volume_id}.'
            )
    for snapshot in claim.snapshots:
        if snapshot.snapshot_id in snapshots.values():
            raise exceptions.EventRejected(
                f'Volume {snapshot.volume_id} has a snapshot '
                f'{snapshot.snapshot_id} already: choose another id.'
            )
    used = [one.volume_id for one in members.values() if one.attached_to]
    if used:
        raise exceptions.EventRejected(
            f'Of the group {outcomes.listing(used)} '
            f'{"are" if len(used) > 1 else "is"} in use, and what is written '
            'meanwhile would be in one snapshot and not in another: detach '
            'first, or use a group type without '
            'consistent_group_snapshot_enabled.'
        )


def _snapshot_of(
    volume: events.Volume, claim: model.Claim, snapshot_id: str
) -> events.Snapshot:
    for snapshot in claim.snapshots:
        if snapshot.snapshot_id == snapshot_id:
            return snapshot
    raise exceptions.EventRejected(
        f'Volume {volume.volume_id} has no snapshot {snapshot_id}.'
    )
