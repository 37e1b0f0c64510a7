"""What is done to delete a volume, and to take that back.

What the cloud deletes is gone. What is deleted in the data centre lies in the
trash for a while: a slip there must not cost what belongs to somebody else.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import datetime
import logging

from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent.executor import outcomes
from virtdc_agent.exports import Exporters
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.pools import Pools

LOG = logging.getLogger(__name__)

_DONE = model.Outcome(state=State.SUCCESS)


class DeletionHandlers:
    """Deletes, restores and purges; see ``handlers.Handlers``.

    :param trash_s: for how long what the data centre deletes lies in the
        trash; 0: it is gone at once.
    """

    def __init__(
        self,
        *,
        pools: Pools,
        exporters: Exporters,
        clock: interfaces.Clock,
        trash_s: float,
    ) -> None:
        self._pools = pools
        self._exporters = exporters
        self._clock = clock
        self._kept = datetime.timedelta(seconds=trash_s)

    @property
    def handler_of(
        self,
    ) -> Mapping[
        Operation,
        Callable[[model.Claim, interfaces.OperationContext], model.Outcome],
    ]:
        """Which method executes what."""
        return {
            Operation.DELETE: self._delete,
            Operation.RESTORE: self._restore,
            Operation.PURGE: self._purge,
        }

    def _delete(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        event, parameters = claim.event, claim.event.parameters
        if not isinstance(parameters, events.DeleteParameters):
            raise TypeError(parameters)
        if parameters.is_lost:
            return self._note_loss(claim)
        self._check_unused(claim, is_forced=parameters.force)
        if event.origin is Origin.CLOUD:
            return self._remove(claim, context)
        if claim.volume is None and claim.trashed is not None:
            # Deleted already; asked again it must not be lost for good.
            return _DONE
        if (
            claim.volume is None
            or not self._kept
            or not self._pools.of(claim.volume).backend.has_trash
        ):
            return self._remove(claim, context)
        return self._discard(claim, claim.volume, context)

    def _check_unused(self, claim: model.Claim, *, is_forced: bool) -> None:
        """Refuse what would take something from somebody.

        :raises EventRejected: says from whom.
        """
        event, volume = claim.event, claim.volume
        if is_forced and event.origin is not Origin.PLATFORM:
            raise exceptions.EventRejected(
                'Only an operator of the data centre may force a deletion.'
            )
        if volume is not None and volume.attached_to and not is_forced:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is in use by '
                f'{outcomes.listing(volume.attached_to)}: detach it first.'
            )
        if claim.snapshots:
            raise exceptions.EventRejected(
                f'Volume {event.volume_id} has {len(claim.snapshots)} '
                'snapshots: delete them first.'
            )

    def _remove(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        volume_id = claim.event.volume_id
        self._disconnect(claim.volume)
        # Also without a record: a storage may hold what a failed create
        # could not take back, and the owner wants it gone.
        for pool in (
            self._pools
            if claim.volume is None
            else (self._pools.of(claim.volume),)
        ):
            pool.backend.delete(volume_id, context)
        if claim.trashed is not None:
            self._purge_kept(claim.trashed, context)
        return model.Outcome(
            state=State.SUCCESS,
            change=model.RemoveVolume(
                volume_id=volume_id, is_purged=claim.trashed is not None
            ),
        )

    def _discard(
        self,
        claim: model.Claim,
        volume: events.Volume,
        context: interfaces.OperationContext,
    ) -> model.Outcome:
        self._disconnect(volume)
        backend = self._pools.of(volume).backend
        backend.discard(volume.volume_id, context)
        if claim.trashed is not None:
            # One of the same id that was deleted before: there is one place.
            self._purge_kept(claim.trashed, context)
        return self._trashed(claim, volume)

    def _note_loss(self, claim: model.Claim) -> model.Outcome:
        volume = claim.volume
        if volume is None:
            return _DONE
        backend = self._pools.of(volume).backend
        if backend.find(volume.volume_id) is not None:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is in the storage.'
            )
        return self._trashed(claim, volume)

    def _trashed(
        self, claim: model.Claim, volume: events.Volume
    ) -> model.Outcome:
        event, now = claim.event, self._clock.now()
        until = now + self._kept
        return model.Outcome(
            state=State.SUCCESS,
            change=model.DiscardVolume(
                trashed=events.TrashedVolume(
                    # Hosts were cut off; they have to be connected anew.
                    volume=dataclasses.replace(
                        volume, attached_to=(), exporter=''
                    ),
                    deleted_at=now,
                    until=until,
                    event_id=event.event_id,
                    deleted_by=event.requested_by,
                    origin=event.origin,
                )
            ),
        )

    def _restore(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        volume_id, trashed = claim.event.volume_id, claim.trashed
        if claim.volume is not None:
            raise exceptions.EventRejected(
                f'Volume {volume_id} exists: it cannot be restored.'
            )
        if trashed is None:
            raise exceptions.EventRejected(
                f'No volume {volume_id} lies in the trash.'
            )
        backend = self._pools.of(trashed.volume).backend
        if backend.has_trash:
            facts = backend.restore(volume_id, trashed.event_id, context)
        else:
            facts = self._found(backend, volume_id)
        volume = dataclasses.replace(
            trashed.volume,
            size_bytes=facts.size_bytes,
            updated_at=self._clock.now(),
        )
        return dataclasses.replace(
            outcomes.success(volume), change=model.RestoreVolume(volume=volume)
        )

    @staticmethod
    def _found(
        backend: interfaces.Backend, volume_id: str
    ) -> model.VolumeFacts:
        """Return what is in the storage again, put there by hand."""
        facts = backend.find(volume_id)
        if facts is None:
            raise exceptions.EventRejected(
                f'The storage does not hold volume {volume_id} any more.'
            )
        return facts

    def _purge(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        parameters, trashed = claim.event.parameters, claim.trashed
        if not isinstance(parameters, events.PurgeParameters):
            raise TypeError(parameters)
        if trashed is None or (
            parameters.deleted_by not in (None, trashed.event_id)
        ):
            # Restored, or deleted anew, since it was asked for.
            return _DONE
        volume_id = trashed.volume.volume_id
        self._purge_kept(trashed, context)
        return model.Outcome(
            state=State.SUCCESS,
            change=model.PurgeVolume(volume_id=volume_id),
        )

    def _purge_kept(
        self,
        trashed: events.TrashedVolume,
        context: interfaces.OperationContext,
    ) -> None:
        """Free what lies in the trash of the pool that the volume was in."""
        backend = self._pools.of(trashed.volume).backend
        if backend.has_trash:
            backend.purge(trashed.volume.volume_id, trashed.event_id, context)

    def _disconnect(self, volume: events.Volume | None) -> None:
        """Cut off the hosts that use what is deleted by force."""
        for host in volume.attached_to if volume is not None else ():
            LOG.warning(
                'Volume %s is deleted by force while %s uses it.',
                volume.volume_id if volume is not None else '',
                host,
            )
            if volume is not None:
                self._exporters.of(volume).disconnect(volume, host)
