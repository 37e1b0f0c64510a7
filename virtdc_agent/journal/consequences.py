"""What the end of an event means beyond its state: volumes and alarms.

Written in the transaction that ends it. So an alarm is raised exactly as
often as a volume was deleted, whoever dies in between.
"""

from __future__ import annotations

import dataclasses

from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract import catalogue
from virtdc_agent.contract.events import CLOUD_ID
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import Volume
from virtdc_agent.contract.pieces import format_time
from virtdc_agent.contract.pieces import requester_to
from virtdc_agent.journal import alarms
from virtdc_agent.journal.transaction import Transaction
from virtdc_agent import model


def carry(
    tx: Transaction,
    claim: model.Claim,
    change: model.VolumeChange | None,
    sequence: int,
) -> None:
    """Write what an event has made of its volume, and see who must know.

    :param sequence: of the transition that ended it.
    """
    tx.change_volume(_stamped(claim, change, sequence))
    match change:
        case model.PutVolume() if claim.volume is None:
            _clear(tx, claim.event)
        case model.RestoreVolume():
            _clear(tx, claim.event)
        case model.RemoveVolume() | model.DiscardVolume():
            _deleted(tx, claim, change)
        case _:
            pass


def _stamped(
    claim: model.Claim, change: model.VolumeChange | None, sequence: int
) -> model.VolumeChange | None:
    """Note who has changed a volume last, if it is another now.

    That a host uses it is no change of what both sides have to agree on.
    """
    match change:
        case model.PutVolume(volume=volume) if claim.volume is None or _agreed(
            volume
        ) != _agreed(claim.volume):
            return model.PutVolume(volume=_by(volume, claim.event, sequence))
        case model.RestoreVolume(volume=volume):
            return model.RestoreVolume(
                volume=_by(volume, claim.event, sequence)
            )
        case _:
            return change


def _by(volume: Volume, event: Event, sequence: int) -> Volume:
    return dataclasses.replace(
        volume, changed_by=event.origin, changed_at_sequence=sequence
    )


def _agreed(volume: Volume) -> tuple[object, ...]:
    return (
        volume.size_bytes,
        volume.name,
        volume.description,
        dict(volume.metadata),
    )


def _deleted(
    tx: Transaction,
    claim: model.Claim,
    change: model.RemoveVolume | model.DiscardVolume,
) -> None:
    event, volume = claim.event, claim.volume
    if event.operation is not Operation.DELETE:
        return
    if event.origin is Origin.CLOUD:
        _clear(tx, event)
        return
    if volume is None or not _is_of_the_cloud(volume):
        return
    until = (
        change.trashed.until
        if isinstance(change, model.DiscardVolume)
        else None
    )
    kind = catalogue.VOLUME_DELETED
    alarms.raise_alarm(
        tx,
        kind=kind.kind,
        subject=volume.volume_id,
        severity=Severity.CRITICAL if volume.attached_to else kind.severity,
        message=_sentence(event, volume, is_kept=until is not None),
        details={
            'event_id': event.event_id,
            'requested_by': requester_to(event.requested_by),
            'name': volume.name,
            'size_bytes': volume.size_bytes,
            'project_id': volume.project_id,
            'attached_to': list(volume.attached_to),
            'trash_until': None if until is None else format_time(until),
            'occurred_at': format_time(tx.now),
        },
    )


def _is_of_the_cloud(volume: Volume) -> bool:
    """Say whether the cloud has made a volume, or manages it since."""
    return volume.origin is Origin.CLOUD or bool(volume.metadata.get(CLOUD_ID))


def _sentence(event: Event, volume: Volume, *, is_kept: bool) -> str:
    named = f' ({volume.name})' if volume.name else ''
    user = event.requested_by.user_id or 'somebody'
    parts = [f'Volume {volume.volume_id}{named}']
    if getattr(event.parameters, 'is_lost', False):
        parts.append('is gone from the storage: it was removed by hand.')
        parts.append('It comes back if its file does.')
    else:
        parts.append(f'was deleted in the data centre by {user}.')
        parts.append(
            'It can be restored from the trash for a while.'
            if is_kept
            else 'It cannot be restored.'
        )
    if volume.attached_to:
        parts.append(f'It was in use by {", ".join(volume.attached_to)}.')
    return ' '.join(parts)


def _clear(tx: Transaction, event: Event) -> None:
    alarms.clear_alarm(tx, catalogue.VOLUME_DELETED.kind, event.volume_id)
