"""What handlers have in common: how what they did is told. Pure."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
import datetime

from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model


def existing(claim: model.Claim) -> events.Volume:
    """Return the claim's volume.

    :raises EventRejected: there is none.
    """
    if claim.volume is None:
        raise exceptions.EventRejected(
            f'The data centre has no volume {claim.event.volume_id}.'
        )
    return claim.volume


def check_unused(claim: model.Claim) -> None:
    """Refuse to part with a volume that somebody or something depends on.

    :raises EventRejected: says who or what.
    """
    volume_id = claim.event.volume_id
    if claim.volume is not None and claim.volume.attached_to:
        raise exceptions.EventRejected(
            f'Volume {volume_id} is in use by '
            f'{listing(claim.volume.attached_to)}: detach it first.'
        )
    if claim.snapshots:
        raise exceptions.EventRejected(
            f'Volume {volume_id} has {len(claim.snapshots)} snapshots: '
            f'{claim.event.operation.value} them first.'
        )


def check_choices(
    backend: interfaces.Backend,
    format: Format | None,
    provisioning: Provisioning | None,
) -> None:
    """Refuse what a backend does not offer.

    :raises EventRejected: names what it does.
    """
    choices: tuple[tuple[str, str | None, Collection[str]], ...] = (
        ('format', format, backend.formats),
        ('provisioning', provisioning, backend.provisionings),
    )
    for name, wanted, offered in choices:
        if wanted is not None and wanted not in offered:
            raise exceptions.EventRejected(
                f'This data centre offers no {name} "{wanted}", only '
                f'{listing(offered)}.'
            )


def check_choices_met(
    volume: events.Volume, wanted: events.ManageParameters
) -> None:
    """Refuse to take a volume for one that it is not.

    :raises EventRejected: says what it is.
    """
    for name, asked, had in (
        ('format', wanted.format, volume.format),
        ('provisioning', wanted.provisioning, volume.provisioning),
    ):
        if asked not in (None, had):
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} has {name} "{had}", not "{asked}".'
            )


def made(
    event: events.Event,
    parameters: (
        events.CreateParameters
        | events.CloneParameters
        | events.ImportParameters
        | events.ManageParameters
    ),
    *,
    facts: model.VolumeFacts,
    pool: str,
    now: datetime.datetime,
) -> model.Outcome:
    """Return the outcome of an event that has made a volume in a pool."""
    volume = events.Volume(
        volume_id=event.volume_id,
        size_bytes=facts.size_bytes,
        format=facts.format,
        provisioning=facts.provisioning,
        created_at=now,
        updated_at=now,
        name=parameters.name,
        description=parameters.description,
        metadata=parameters.metadata,
        project_id=event.requested_by.project_id,
        user_id=event.requested_by.user_id,
        origin=event.origin,
        pool=pool,
    )
    return success(volume)


def kept(
    event: events.Event,
    parameters: events.SnapshotParameters | events.ManageSnapshotParameters,
    *,
    facts: model.SnapshotFacts,
    now: datetime.datetime,
) -> model.Outcome:
    """Return the outcome of an event that has made a snapshot."""
    return put_snapshot(
        snapshot(event, parameters, event.volume_id, facts, now)
    )


def put_snapshot(snapshot: events.Snapshot) -> model.Outcome:
    """Return the outcome that leaves a snapshot as this says."""
    return model.Outcome(
        state=State.SUCCESS,
        change=model.PutSnapshot(snapshot=snapshot),
        result=told_of(snapshot),
    )


def snapshot(
    event: events.Event,
    parameters: (
        events.SnapshotParameters
        | events.SnapshotGroupParameters
        | events.ManageSnapshotParameters
    ),
    volume_id: str,
    facts: model.SnapshotFacts,
    now: datetime.datetime,
) -> events.Snapshot:
    """Return the record of a snapshot that an event has made."""
    return events.Snapshot(
        snapshot_id=facts.snapshot_id,
        volume_id=volume_id,
        size_bytes=facts.size_bytes,
        format=facts.format,
        created_at=now,
        name=parameters.name,
        description=parameters.description,
        metadata=parameters.metadata,
        project_id=event.requested_by.project_id,
        user_id=event.requested_by.user_id,
        origin=event.origin,
    )


def told_of(facts: model.SnapshotFacts | events.Snapshot) -> dict[str, object]:
    """Return what is told of a snapshot."""
    return {
        'snapshot_id': facts.snapshot_id,
        'size_bytes': facts.size_bytes,
        'format': facts.format.value,
    }


def check_has_no(claim: model.Claim, snapshot_id: str) -> None:
    """Refuse to make a snapshot that the volume has.

    :raises EventRejected: it has one of this id.
    """
    if any(one.snapshot_id == snapshot_id for one in claim.snapshots):
        raise exceptions.EventRejected(
            f'Volume {claim.event.volume_id} has a snapshot {snapshot_id} '
            'already: choose another id.'
        )


def exists(volume_id: str) -> exceptions.EventRejected:
    """Return the error for a volume that is to be made and is there."""
    return exceptions.EventRejected(
        f'Volume {volume_id} exists already: choose another id.'
    )


def success(volume: events.Volume) -> model.Outcome:
    """Return the outcome that leaves a volume as this says."""
    return model.Outcome(
        state=State.SUCCESS,
        change=model.PutVolume(volume=volume),
        result={
            'size_bytes': volume.size_bytes,
            'format': volume.format.value,
            'provisioning': volume.provisioning.value,
            'attached_to': list(volume.attached_to),
            **({'pool': volume.pool} if volume.pool else {}),
            **({'exporter': volume.exporter} if volume.exporter else {}),
        },
    )


def listing(names: Iterable[str]) -> str:
    """Return names for a sentence."""
    return ', '.join(sorted(names)) or 'nothing'
