"""Taking over what is in the storage, and giving it up: rules, then backend.

As ``handlers``, of which it is a part.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from virtdc_agent.capacity import size_text
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.executor.copying import Handler
from virtdc_agent.executor import outcomes
from virtdc_agent.executor.room import Rooms
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.pools import Pools


class ManageHandlers:
    """Executes what changes who minds something. Safe from any thread.

    :raises EventRejected: from any handler; says what stands in the way.
    """

    def __init__(
        self,
        *,
        pools: Pools,
        rooms: Rooms,
        clock: interfaces.Clock,
    ) -> None:
        self._pools = pools
        self._rooms = rooms
        self._clock = clock
        self.handler_of: Mapping[Operation, Handler] = {
            Operation.MANAGE: self._manage,
            Operation.UNMANAGE: self._unmanage,
            Operation.MANAGE_SNAPSHOT: self._manage_snapshot,
            Operation.UNMANAGE_SNAPSHOT: self._unmanage_snapshot,
        }

    def _manage(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        event, parameters = claim.event, claim.event.parameters
        if not isinstance(parameters, events.ManageParameters):
            raise TypeError(parameters)
        if claim.volume is not None:
            if not _is_own(event.volume_id, parameters):
                raise outcomes.exists(event.volume_id)
            return self._adopt(claim, claim.volume, parameters, context)
        pool = self._pools.choose(parameters.pool)
        pool.check_offers(event.operation)
        outcomes.check_choices(
            pool.backend, parameters.format, parameters.provisioning
        )
        # What it takes of the storage it has taken already: only the sum of
        # what is promised grows.
        with self._rooms.reserve(
            pool, parameters.size_bytes, Provisioning.THIN
        ):
            facts = pool.backend.manage(event.volume_id, parameters, context)
        return outcomes.made(
            event,
            parameters,
            facts=facts,
            pool=pool.name,
            now=self._clock.now(),
        )

    def _adopt(
        self,
        claim: model.Claim,
        volume: events.Volume,
        parameters: events.ManageParameters,
        context: interfaces.OperationContext,
    ) -> model.Outcome:
        """Let the cloud have a volume of the data centre, which stays so."""
        metadata = _adopted(volume.volume_id, volume, parameters)
        outcomes.check_choices_met(volume, parameters)
        if volume.attached_to:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is in use by '
                f'{outcomes.listing(volume.attached_to)}: detach it first.'
            )
        volume = self._pools.placed(volume)
        grow_bytes = parameters.size_bytes - volume.size_bytes
        if grow_bytes > 0:
            pool = self._pools.of(volume, Operation.EXTEND)
            with self._rooms.reserve(pool, grow_bytes, volume.provisioning):
                facts = pool.backend.extend(
                    volume.volume_id, parameters.size_bytes, context
                )
            volume = dataclasses.replace(volume, size_bytes=facts.size_bytes)
        requester = claim.event.requested_by
        return outcomes.success(
            dataclasses.replace(
                volume,
                metadata=metadata,
                project_id=requester.project_id,
                user_id=requester.user_id,
                updated_at=self._clock.now(),
            )
        )

    def _unmanage(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        volume_id, volume = claim.event.volume_id, claim.volume
        if volume is not None and _is_adopted(volume):
            return outcomes.success(
                dataclasses.replace(volume, metadata=_given_up(volume))
            )
        outcomes.check_unused(claim)
        if claim.volume is not None:
            pool = self._pools.of(claim.volume, claim.event.operation)
            pool.backend.unmanage(volume_id, context)
        return model.Outcome(
            state=State.SUCCESS,
            change=model.RemoveVolume(volume_id=volume_id),
        )

    def _manage_snapshot(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        event, parameters = claim.event, claim.event.parameters
        if not isinstance(parameters, events.ManageSnapshotParameters):
            raise TypeError(parameters)
        volume = outcomes.existing(claim)
        if _is_own(parameters.snapshot_id, parameters):
            for known in claim.snapshots:
                if known.snapshot_id == parameters.snapshot_id:
                    return _adopt_snapshot(claim, known, parameters)
        outcomes.check_has_no(claim, parameters.snapshot_id)
        if parameters.size_bytes > volume.size_bytes:
            raise exceptions.EventRejected(
                f'A snapshot of {size_text(parameters.size_bytes)} is larger '
                f'than volume {volume.volume_id}, which has '
                f'{size_text(volume.size_bytes)}: extend the volume first.'
            )
        pool = self._pools.of(volume, event.operation)
        facts = pool.backend.manage_snapshot(
            volume.volume_id, parameters, context
        )
        return outcomes.kept(
            event, parameters, facts=facts, now=self._clock.now()
        )

    def _unmanage_snapshot(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        parameters = claim.event.parameters
        if not isinstance(parameters, events.UnmanageSnapshotParameters):
            raise TypeError(parameters)
        for known in claim.snapshots:
            if known.snapshot_id == parameters.snapshot_id and _is_adopted(
                known
            ):
                return outcomes.put_snapshot(
                    dataclasses.replace(known, metadata=_given_up(known))
                )
        if claim.volume is not None:
            pool = self._pools.of(claim.volume, claim.event.operation)
            pool.backend.unmanage_snapshot(
                claim.event.volume_id, parameters.snapshot_id, context
            )
        return model.Outcome(
            state=State.SUCCESS,
            change=model.RemoveSnapshot(snapshot_id=parameters.snapshot_id),
        )


def _adopt_snapshot(
    claim: model.Claim,
    snapshot: events.Snapshot,
    parameters: events.ManageSnapshotParameters,
) -> model.Outcome:
    """Let the cloud have a snapshot of the data centre, which stays so."""
    metadata = _adopted(snapshot.snapshot_id, snapshot, parameters)
    requester = claim.event.requested_by
    return outcomes.put_snapshot(
        dataclasses.replace(
            snapshot,
            metadata=metadata,
            project_id=requester.project_id,
            user_id=requester.user_id,
        )
    )


def _is_own(
    id_: str,
    parameters: events.ManageParameters | events.ManageSnapshotParameters,
) -> bool:
    """Say whether something is to be managed under its present id."""
    return parameters.reference == id_ and bool(
        parameters.metadata.get(events.CLOUD_ID)
    )


def _is_adopted(known: events.Volume | events.Snapshot) -> bool:
    """Say whether the data centre has made what the cloud manages."""
    return known.origin is Origin.PLATFORM and bool(
        known.metadata.get(events.CLOUD_ID)
    )


def _given_up(known: events.Volume | events.Snapshot) -> Mapping[str, str]:
    """Return the metadata of what is the data centre's alone again."""
    return {**known.metadata, events.CLOUD_ID: ''}


def _adopted(
    id_: str,
    known: events.Volume | events.Snapshot,
    parameters: events.ManageParameters | events.ManageSnapshotParameters,
) -> Mapping[str, str]:
    """Return the metadata of what the cloud is to manage from now on.

    What people say of it stays as it is here: the two sides agree on that
    afterwards, as on anything else.

    :raises EventRejected: the cloud has it already, or it is another thing.
    """
    cloud_id = parameters.metadata[events.CLOUD_ID]
    before = known.metadata.get(events.CLOUD_ID, '')
    if known.origin is Origin.CLOUD and not before:
        raise exceptions.EventRejected(
            f'{id_} was made by the cloud, which has it already.'
        )
    if before not in ('', cloud_id, parameters.instead_of):
        raise exceptions.EventRejected(
            f'The cloud manages {id_} already, as {before}.'
        )
    own = {
        key: value
        for key, value in parameters.metadata.items()
        if key.startswith(events.OWN_METADATA)
    }
    return {**known.metadata, **own}
