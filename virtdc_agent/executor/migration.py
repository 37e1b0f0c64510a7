"""Moving a volume from one pool of the agent to another.

The volume is copied, the copy gets its name in the new pool, the old one is
removed, and then the journal is told. Killed anywhere in between, the next
attempt finds out by looking: what is in both pools was copied in full, since
nothing gets its name before; what is in the new one alone was moved already.
Until the journal is told, the volume is where it was for all others, and
nobody may use it: its queue is closed.
"""

from __future__ import annotations

import dataclasses
import logging

from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent.executor import carrying
from virtdc_agent.executor.operation import UndoContext
from virtdc_agent.executor import outcomes
from virtdc_agent.executor.room import Rooms
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.pools import Pool
from virtdc_agent.pools import Pools

LOG = logging.getLogger(__name__)


class Migration:
    """Executes ``migrate``. Stateless, safe from any thread."""

    def __init__(
        self, *, pools: Pools, rooms: Rooms, clock: interfaces.Clock
    ) -> None:
        self._pools = pools
        self._rooms = rooms
        self._clock = clock

    def run(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        """Move the claim's volume to the pool that it names.

        :raises EventRejected: says what stands in the way.
        :raises BackendError: a storage failed; the volume is where it was.
        """
        parameters = claim.event.parameters
        if not isinstance(parameters, events.MigrateParameters):
            raise TypeError(parameters)
        volume = self._pools.placed(outcomes.existing(claim))
        source = self._pools.of(volume)
        target = self._pools.choose(parameters.pool)
        provisioning = parameters.provisioning or volume.provisioning
        if target is source:
            _check_same(volume, provisioning)
            return outcomes.success(volume)
        _check_free(volume, claim)
        source.check_offers(Operation.MIGRATE)
        outcomes.check_choices(target.backend, volume.format, provisioning)
        facts = self._find_moved(volume.volume_id, source, target)
        if facts is None:
            with self._rooms.reserve(target, volume.size_bytes, provisioning):
                facts = self._copy(
                    claim, volume, source, target, provisioning, context
                )
            self._remove(claim, source, target, context)
        return outcomes.success(
            dataclasses.replace(
                volume,
                pool=target.name,
                provisioning=facts.provisioning,
                updated_at=self._clock.now(),
            )
        )

    @staticmethod
    def _find_moved(
        volume_id: str, source: Pool, target: Pool
    ) -> model.VolumeFacts | None:
        """Return what is in the new pool, if the old one has it no more."""
        if source.backend.find(volume_id) is not None:
            return None
        facts = target.backend.find(volume_id)
        if facts is None:
            raise exceptions.BackendError(
                f'Volume {volume_id} is neither in pool {source.name} nor in '
                f'pool {target.name}; the operator of the storage has to look '
                'at it.'
            )
        return facts

    @staticmethod
    def _copy(
        claim: model.Claim,
        volume: events.Volume,
        source: Pool,
        target: Pool,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """Have the volume in both pools, and leave to go on."""
        if (
            claim.attempt == 1
            and target.backend.find(volume.volume_id) is not None
        ):
            # The journal says where the volume is, and it is there. This is
            # the copy of a migration that could neither end nor be undone.
            LOG.warning(
                'Removing from pool %s what an earlier migration of volume '
                '%s left there.',
                target.name,
                volume.volume_id,
            )
            target.backend.delete(volume.volume_id, UndoContext(claim))
        with carrying.opened(source, volume.volume_id) as image:
            facts = carrying.receive(
                *(target, volume.volume_id, image, volume.size_bytes),
                *(volume.format, provisioning, context),
            )
        try:
            # What an earlier attempt had copied, none was asked leave for.
            context.begin_commit()
        except exceptions.OperationCancelled:
            target.backend.delete(volume.volume_id, UndoContext(claim))
            raise
        return facts

    @staticmethod
    def _remove(
        claim: model.Claim,
        source: Pool,
        target: Pool,
        context: interfaces.OperationContext,
    ) -> None:
        """Have the volume in the new pool only; or, if that fails, the old."""
        volume_id = claim.event.volume_id
        try:
            source.backend.delete(volume_id, context)
        except exceptions.BackendError:
            if source.backend.find(volume_id) is not None:
                target.backend.delete(volume_id, UndoContext(claim))
                raise


def _check_same(volume: events.Volume, provisioning: Provisioning) -> None:
    if provisioning is not volume.provisioning:
        raise exceptions.EventRejected(
            f'Volume {volume.volume_id} is in pool {volume.pool} already, and '
            f'is {volume.provisioning}: in its place it cannot become '
            f'{provisioning}.'
        )


def _check_free(volume: events.Volume, claim: model.Claim) -> None:
    if volume.attached_to:
        raise exceptions.EventRejected(
            f'Volume {volume.volume_id} is in use by '
            f'{outcomes.listing(volume.attached_to)}: detach it to move it '
            'to another pool.'
        )
    if claim.snapshots:
        raise exceptions.EventRejected(
            f'Volume {volume.volume_id} has {len(claim.snapshots)} snapshots, '
            'which cannot follow it: delete them to move it to another pool.'
        )
