"""How what is to be managed is written and read."""

from __future__ import annotations

from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Manageable
from virtdc_agent.contract.events import ManageParameters
from virtdc_agent.contract.events import ManageSnapshotParameters
from virtdc_agent.contract.events import MAX_SIZE_BYTES
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.fields import clean_text
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.pieces import description_from
from virtdc_agent.contract.pieces import description_to
from virtdc_agent.contract.pieces import optional_identifier
from virtdc_agent.contract.pieces import Primitive
from virtdc_agent.contract.pieces import size
from virtdc_agent.contract.pieces import value_of

MAX_REFERENCE = 255
"""As many characters has the name of something in the storage, at most."""


def manage_to(parameters: ManageParameters) -> Primitive:
    """Write what is to become a volume."""
    return {
        'reference': parameters.reference,
        'size_bytes': parameters.size_bytes,
        **description_to(parameters),
        'format': value_of(parameters.format),
        'provisioning': value_of(parameters.provisioning),
        'pool': parameters.pool,
        'instead_of': parameters.instead_of or None,
    }


def manage_from(reader: Reader) -> ManageParameters:
    """Read what is to become a volume."""
    return ManageParameters(
        reference=_reference(reader),
        size_bytes=size(reader),
        **description_from(reader),
        format=reader.optional_choice('format', Format),
        provisioning=reader.optional_choice('provisioning', Provisioning),
        pool=optional_identifier(reader, 'pool'),
        instead_of=optional_identifier(reader, 'instead_of') or '',
    )


def manage_snapshot_to(parameters: ManageSnapshotParameters) -> Primitive:
    """Write what is to become a snapshot."""
    return {
        'snapshot_id': parameters.snapshot_id,
        'reference': parameters.reference,
        'size_bytes': parameters.size_bytes,
        **description_to(parameters),
        'instead_of': parameters.instead_of or None,
    }


def manage_snapshot_from(reader: Reader) -> ManageSnapshotParameters:
    """Read what is to become a snapshot."""
    return ManageSnapshotParameters(
        snapshot_id=reader.identifier('snapshot_id'),
        reference=_reference(reader),
        size_bytes=size(reader),
        **description_from(reader),
        instead_of=optional_identifier(reader, 'instead_of') or '',
    )


def manageable_to(manageable: Manageable) -> Primitive:
    """Write what is there and may become something."""
    return {
        'reference': manageable.reference,
        'size_bytes': manageable.size_bytes,
        'format': value_of(manageable.format),
        'is_safe': manageable.is_safe,
        # It may quote a program, and must arrive whatever that said.
        'reason': clean_text(manageable.reason),
        'volume_id': manageable.volume_id,
        'snapshot_id': manageable.snapshot_id,
    }


def manageable_from(reader: Reader) -> Manageable:
    """Read what is there; what does not say that it is safe is not."""
    return Manageable(
        reference=_reference(reader),
        size_bytes=reader.integer(
            'size_bytes', minimum=0, maximum=MAX_SIZE_BYTES
        ),
        format=reader.optional_choice('format', Format),
        is_safe=reader.boolean('is_safe', default=False),
        reason=reader.text('reason', default=''),
        volume_id=optional_identifier(reader, 'volume_id'),
        snapshot_id=optional_identifier(reader, 'snapshot_id'),
    )


def _reference(reader: Reader) -> str:
    reference = reader.text('reference', max_length=MAX_REFERENCE)
    if not reference:
        raise MalformedMessage(reader.path('reference'), 'must not be empty')
    return reference
