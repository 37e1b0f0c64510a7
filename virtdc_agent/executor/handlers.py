"""What each operation does: rules first, then the backend or exporter.

A handler turns a claim into an outcome. It refuses what must not be done to
the volume as it is now, asks the plugin to do the rest, and says how the
volume is to stand in the journal. It knows nothing of threads, deadlines or
the bus.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import logging

from virtdc_agent.capacity import size_text
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent.contract.fields import MAX_ENTRIES
from virtdc_agent import exceptions
from virtdc_agent.executor.copying import CopyHandlers
from virtdc_agent.executor.deleting import DeletionHandlers
from virtdc_agent.executor.managing import ManageHandlers
from virtdc_agent.executor.migration import Migration
from virtdc_agent.executor import outcomes
from virtdc_agent.executor.room import Rooms
from virtdc_agent.exports import Exporters
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.pools import Pools

LOG = logging.getLogger(__name__)

MAX_HOSTS = MAX_ENTRIES
"""As many as the contract lets a volume's record name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An outcome, and what it says of the storage's load.

    :param is_retryable: the same may well succeed a little later.
    """

    outcome: model.Outcome
    signal: model.Signal
    is_retryable: bool = False


class Handlers:
    """Executes claims against the agent's pools and exporters.

    :param trash_s: for how long what the data centre deletes lies in the
        trash; 0: it is gone at once.

    Safe from any thread; never called by two for one volume.
    """

    def __init__(
        self,
        *,
        pools: Pools,
        exporters: Exporters,
        images: interfaces.Images,
        rooms: Rooms,
        clock: interfaces.Clock,
        trash_s: float = 0.0,
    ) -> None:
        self._pools = pools
        self._exporters = exporters
        self._can_import = bool(images.urls)
        self._rooms = rooms
        self._clock = clock
        self._handler_of: Mapping[
            Operation,
            Callable[
                [model.Claim, interfaces.OperationContext], model.Outcome
            ],
        ] = {
            Operation.CREATE: self._create,
            Operation.EXTEND: self._extend,
            Operation.CONNECT: self._connect,
            Operation.DISCONNECT: self._disconnect,
            Operation.EDIT: self._edit,
            **CopyHandlers(
                pools=pools, images=images, rooms=rooms, clock=clock
            ).handler_of,
            **DeletionHandlers(
                pools=pools,
                exporters=exporters,
                clock=clock,
                trash_s=trash_s,
            ).handler_of,
            Operation.MIGRATE: Migration(
                pools=pools, rooms=rooms, clock=clock
            ).run,
            **ManageHandlers(pools=pools, rooms=rooms, clock=clock).handler_of,
        }

    @property
    def operations(self) -> frozenset[Operation]:
        """What can be executed with these pools and exporters."""
        offered = self._pools.operations | {
            Operation.CONNECT,
            Operation.DISCONNECT,
            Operation.EDIT,
            Operation.RESTORE,
            Operation.PURGE,
        }
        return offered if self._can_import else offered - {Operation.IMPORT}

    def execute(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> Ended:
        """Do what the event says; every error but one is an outcome.

        :raises OperationCancelled: it was withdrawn before its commit, and
            nothing of it is left.
        """
        operation = claim.event.operation
        try:
            if operation not in self.operations:
                raise exceptions.EventRejected(
                    f"This data centre's storage cannot {operation} volumes."
                )
            context.check()
            outcome = self._handler_of[operation](claim, context)
        except exceptions.OperationCancelled:
            raise
        except exceptions.EventRejected as exc:
            return _failed(Reason.REJECTED, str(exc), model.Signal.IGNORED)
        except exceptions.BackendBusy as exc:
            return dataclasses.replace(
                _failed(Reason.BACKEND, str(exc), model.Signal.OVERLOADED),
                is_retryable=True,
            )
        except exceptions.BackendError as exc:
            LOG.warning(
                'Event %s (%s of volume %s) failed in the backend: %s',
                claim.event.event_id,
                operation,
                claim.event.volume_id,
                exc,
                exc_info=exc.__cause__,
            )
            return _failed(Reason.BACKEND, str(exc), model.Signal.IGNORED)
        except Exception:
            # A plugin's bug must not take the agent down, nor leave its
            # event running for ever.
            LOG.exception(
                'Unexpected error in event %s (%s of volume %s)',
                claim.event.event_id,
                operation,
                claim.event.volume_id,
            )
            return _failed(
                Reason.BACKEND,
                'The data centre met an unexpected error; its operator finds '
                f"it in the agent's log under {claim.event.event_id}.",
                model.Signal.IGNORED,
            )
        return Ended(outcome=outcome, signal=model.Signal.SUCCESS)

    def undo(
        self,
        claim: model.Claim,
        outcome: model.Outcome,
        context: interfaces.OperationContext,
    ) -> model.VolumeChange | None:
        """Take back a success that came after its event had failed.

        What cannot be taken back, as growth, is told instead.

        :returns: how the volume is to stand in the journal now.
        :raises AgentError: it could not be taken back.
        """
        event = claim.event
        match event.operation:
            case Operation.CREATE | Operation.CLONE | Operation.IMPORT if (
                claim.volume is None
                and isinstance(outcome.change, model.PutVolume)
            ):
                made = outcome.change.volume
                self._pools.of(made).backend.delete(event.volume_id, context)
                return None
            case Operation.SNAPSHOT if claim.volume and isinstance(
                outcome.change, model.PutSnapshot
            ):
                self._pools.of(claim.volume).backend.delete_snapshot(
                    event.volume_id,
                    outcome.change.snapshot.snapshot_id,
                    context,
                )
                return None
            case Operation.SNAPSHOT_GROUP if isinstance(
                outcome.change, model.PutSnapshots
            ):
                backend = self._pools.of(claim.members[0]).backend
                for snapshot in outcome.change.snapshots:
                    backend.delete_snapshot(
                        snapshot.volume_id, snapshot.snapshot_id, context
                    )
                return None
            case Operation.MANAGE if isinstance(
                outcome.change, model.PutVolume
            ):
                if claim.volume is not None:
                    # It stays as the data centre has it, but for its growth.
                    size_bytes = outcome.change.volume.size_bytes
                    return model.PutVolume(
                        volume=dataclasses.replace(
                            claim.volume, size_bytes=size_bytes
                        )
                    )
                # Its bytes were there before, and stay.
                backend = self._pools.of(outcome.change.volume).backend
                backend.unmanage(event.volume_id, context)
                return None
            case Operation.MANAGE_SNAPSHOT if claim.volume and isinstance(
                outcome.change, model.PutSnapshot
            ):
                snapshot_id = outcome.change.snapshot.snapshot_id
                if any(
                    one.snapshot_id == snapshot_id for one in claim.snapshots
                ):
                    return None
                self._pools.of(claim.volume).backend.unmanage_snapshot(
                    event.volume_id, snapshot_id, context
                )
                return None
            case Operation.CONNECT if isinstance(
                outcome.change, model.PutVolume
            ):
                known = claim.volume.attached_to if claim.volume else ()
                attached = outcome.change.volume
                for host in attached.attached_to:
                    if host not in known:
                        self._exporters.of(attached).disconnect(attached, host)
                return None
            case _:
                return outcome.change

    def _create(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        event, parameters = claim.event, claim.event.parameters
        if not isinstance(parameters, events.CreateParameters):
            raise TypeError(parameters)
        volume = claim.volume
        if volume is not None:
            if volume.size_bytes != parameters.size_bytes:
                raise exceptions.EventRejected(
                    f'Volume {event.volume_id} exists already, with '
                    f'{size_text(volume.size_bytes)}.'
                )
            return outcomes.success(volume)
        pool = self._pools.choose(parameters.pool)
        backend = pool.backend
        pool.check_offers(event.operation)
        outcomes.check_choices(
            backend, parameters.format, parameters.provisioning
        )
        provisioning = parameters.provisioning or backend.default_provisioning
        # An earlier attempt that finished has taken its room already, but
        # is not in the journal yet: either way it is counted once.
        with self._rooms.reserve(pool, parameters.size_bytes, provisioning):
            facts = backend.create(event.volume_id, parameters, context)
        return outcomes.made(
            event,
            parameters,
            facts=facts,
            pool=pool.name,
            now=self._clock.now(),
        )

    def _extend(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        parameters = claim.event.parameters
        if not isinstance(parameters, events.ExtendParameters):
            raise TypeError(parameters)
        volume = self._pools.placed(outcomes.existing(claim))
        pool = self._pools.of(volume, claim.event.operation)
        grow_bytes = parameters.size_bytes - volume.size_bytes
        if grow_bytes < 0:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} has '
                f'{size_text(volume.size_bytes)} and cannot shrink to '
                f'{size_text(parameters.size_bytes)}.'
            )
        if grow_bytes == 0:
            return outcomes.success(volume)
        if volume.attached_to and volume.format is Format.QCOW2:
            # The hypervisor holds the image's lock, and is the one to grow
            # it.
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is a qcow2 image in use by '
                f'{outcomes.listing(volume.attached_to)}: detach it to '
                'extend it.'
            )
        if (
            volume.attached_to
            and not self._exporters.of(volume).can_grow_in_use
        ):
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is in use by '
                f'{outcomes.listing(volume.attached_to)}, and what exports '
                'it cannot let it grow meanwhile: detach it to extend it.'
            )
        with self._rooms.reserve(pool, grow_bytes, volume.provisioning):
            facts = pool.backend.extend(
                volume.volume_id, parameters.size_bytes, context
            )
        return outcomes.success(
            dataclasses.replace(
                volume,
                size_bytes=facts.size_bytes,
                updated_at=self._clock.now(),
            )
        )

    def _edit(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        """Change what people say of a volume; the storage is not asked."""
        parameters = claim.event.parameters
        if not isinstance(parameters, events.EditParameters):
            raise TypeError(parameters)
        volume = outcomes.existing(claim)
        metadata = volume.metadata
        if parameters.metadata is not None:
            kept = {
                key: value
                for key, value in volume.metadata.items()
                if key.startswith(events.OWN_METADATA)
            }
            metadata = kept | dict(parameters.metadata)
        if len(metadata) > MAX_ENTRIES:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} can have {MAX_ENTRIES} entries '
                'of metadata: name fewer.'
            )
        edited = dataclasses.replace(
            volume,
            name=(volume.name if parameters.name is None else parameters.name),
            description=(
                volume.description
                if parameters.description is None
                else parameters.description
            ),
            metadata=metadata,
        )
        if edited == volume:
            return outcomes.success(volume)
        context.begin_commit()
        return outcomes.success(
            dataclasses.replace(edited, updated_at=self._clock.now())
        )

    def _connect(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        parameters = claim.event.parameters
        if not isinstance(parameters, events.ConnectParameters):
            raise TypeError(parameters)
        volume = self._pools.placed(outcomes.existing(claim))
        exporter = self._exporters.choose(volume, parameters.exporter)
        hosts = {*volume.attached_to, parameters.host}
        if len(hosts) > MAX_HOSTS:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} is in use by {MAX_HOSTS} hosts '
                'already: detach one first.'
            )
        attached = dataclasses.replace(
            volume,
            attached_to=tuple(sorted(hosts)),
            exporter=exporter,
            updated_at=self._clock.now(),
        )
        context.begin_commit()
        self._exporters.named(exporter).connect(volume, parameters)
        return outcomes.success(attached)

    def _disconnect(
        self, claim: model.Claim, context: interfaces.OperationContext
    ) -> model.Outcome:
        parameters = claim.event.parameters
        if not isinstance(parameters, events.DisconnectParameters):
            raise TypeError(parameters)
        volume = claim.volume
        if volume is None:
            return model.Outcome(state=State.SUCCESS)
        leaving = (
            volume.attached_to
            if parameters.host is None
            else (parameters.host,)
        )
        staying = tuple(
            host for host in volume.attached_to if host not in leaving
        )
        exporter = self._exporters.of(volume)
        context.begin_commit()
        for host in leaving:
            exporter.disconnect(volume, host)
        return outcomes.success(
            dataclasses.replace(
                volume,
                attached_to=staying,
                exporter=volume.exporter if staying else '',
                updated_at=self._clock.now(),
            )
        )


def _failed(reason: Reason, message: str, signal: model.Signal) -> Ended:
    return Ended(
        outcome=model.Outcome(
            state=State.FAILED, reason=reason, message=message
        ),
        signal=signal,
    )
