"""Taking over what is in the storage, and giving it up: rules, then backend.

As ``handlers``, of which it is a part.
"""

from __future__ import annotations

from collections.abc import Mapping

from virtdc_agent.capacity import size_text
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
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
            raise outcomes.exists(event.volume_id)
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

    def _unmanage(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        volume_id = claim.event.volume_id
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
        if claim.volume is not None:
            pool = self._pools.of(claim.volume, claim.event.operation)
            pool.backend.unmanage_snapshot(
                claim.event.volume_id, parameters.snapshot_id, context
            )
        return model.Outcome(
            state=State.SUCCESS,
            change=model.RemoveSnapshot(snapshot_id=parameters.snapshot_id),
        )
