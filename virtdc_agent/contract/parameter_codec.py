"""How the parameters of events are written and read."""

from __future__ import annotations

from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import ConnectParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import DeleteParameters
from virtdc_agent.contract.events import DeleteSnapshotParameters
from virtdc_agent.contract.events import DisconnectParameters
from virtdc_agent.contract.events import EditParameters
from virtdc_agent.contract.events import ExtendParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import ImportParameters
from virtdc_agent.contract.events import ManageParameters
from virtdc_agent.contract.events import ManageSnapshotParameters
from virtdc_agent.contract.events import MigrateParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Parameters
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import PurgeParameters
from virtdc_agent.contract.events import RestoreParameters
from virtdc_agent.contract.events import RevertParameters
from virtdc_agent.contract.events import SnapshotGroupParameters
from virtdc_agent.contract.events import SnapshotParameters
from virtdc_agent.contract.events import UnmanageParameters
from virtdc_agent.contract.events import UnmanageSnapshotParameters
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.manage_codec import manage_from
from virtdc_agent.contract.manage_codec import manage_snapshot_from
from virtdc_agent.contract.manage_codec import manage_snapshot_to
from virtdc_agent.contract.manage_codec import manage_to
from virtdc_agent.contract.pieces import description_from
from virtdc_agent.contract.pieces import description_to
from virtdc_agent.contract.pieces import MAX_NAME
from virtdc_agent.contract.pieces import optional_identifier
from virtdc_agent.contract.pieces import Primitive
from virtdc_agent.contract.pieces import size
from virtdc_agent.contract.pieces import value_of


def encode_parameters(parameters: Parameters) -> Primitive:
    """Return an event's parameters as plain JSON types."""
    match parameters:
        case CreateParameters():
            return {
                'size_bytes': parameters.size_bytes,
                **description_to(parameters),
                'format': value_of(parameters.format),
                'provisioning': value_of(parameters.provisioning),
                'pool': parameters.pool,
            }
        case DeleteParameters():
            return {'force': parameters.force, 'is_lost': parameters.is_lost}
        case PurgeParameters():
            return {'deleted_by': parameters.deleted_by}
        case RestoreParameters() | UnmanageParameters():
            return {}
        case MigrateParameters():
            return {
                'pool': parameters.pool,
                'provisioning': value_of(parameters.provisioning),
            }
        case ManageParameters():
            return manage_to(parameters)
        case ManageSnapshotParameters():
            return manage_snapshot_to(parameters)
        case EditParameters():
            return {
                'name': parameters.name,
                'description': parameters.description,
                'metadata': (
                    None
                    if parameters.metadata is None
                    else dict(parameters.metadata)
                ),
            }
        case ExtendParameters():
            return {'size_bytes': parameters.size_bytes}
        case ConnectParameters():
            return {
                'host': parameters.host,
                'connector': dict(parameters.connector),
                'exporter': parameters.exporter,
            }
        case DisconnectParameters():
            return {'host': parameters.host}
        case SnapshotParameters():
            return {
                'snapshot_id': parameters.snapshot_id,
                **description_to(parameters),
            }
        case (
            DeleteSnapshotParameters()
            | RevertParameters()
            | UnmanageSnapshotParameters()
        ):
            return {'snapshot_id': parameters.snapshot_id}
        case CloneParameters():
            return {
                'source_id': parameters.source_id,
                'snapshot_id': parameters.snapshot_id,
                'size_bytes': parameters.size_bytes,
                **description_to(parameters),
                'format': value_of(parameters.format),
                'provisioning': value_of(parameters.provisioning),
                'pool': parameters.pool,
            }
        case ImportParameters():
            return {
                'url': parameters.url,
                'image_format': parameters.image_format,
                'hash_algorithm': parameters.hash_algorithm,
                'hash_value': parameters.hash_value,
                'size_bytes': parameters.size_bytes,
                **description_to(parameters),
                'format': value_of(parameters.format),
                'provisioning': value_of(parameters.provisioning),
                'pool': parameters.pool,
            }
        case SnapshotGroupParameters():
            return {
                'snapshots': dict(parameters.snapshots),
                **description_to(parameters),
            }


def decode_parameters(operation: Operation, reader: Reader) -> Parameters:
    """Read the parameters that ``operation`` takes.

    :raises MalformedMessage: naming the field.
    """
    match operation:
        case Operation.CREATE:
            return CreateParameters(
                size_bytes=size(reader),
                **description_from(reader),
                format=reader.optional_choice('format', Format),
                provisioning=reader.optional_choice(
                    'provisioning', Provisioning
                ),
                pool=optional_identifier(reader, 'pool'),
            )
        case Operation.DELETE:
            return DeleteParameters(
                force=reader.boolean('force', default=False),
                is_lost=reader.boolean('is_lost', default=False),
            )
        case Operation.PURGE:
            return PurgeParameters(
                deleted_by=optional_identifier(reader, 'deleted_by')
            )
        case Operation.RESTORE:
            return RestoreParameters()
        case Operation.MIGRATE:
            return MigrateParameters(
                pool=reader.identifier('pool'),
                provisioning=reader.optional_choice(
                    'provisioning', Provisioning
                ),
            )
        case Operation.MANAGE:
            return manage_from(reader)
        case Operation.UNMANAGE:
            return UnmanageParameters()
        case Operation.MANAGE_SNAPSHOT:
            return manage_snapshot_from(reader)
        case Operation.UNMANAGE_SNAPSHOT:
            return UnmanageSnapshotParameters(
                snapshot_id=reader.identifier('snapshot_id')
            )
        case Operation.EDIT:
            return _edit_from(reader)
        case Operation.EXTEND:
            return ExtendParameters(size_bytes=size(reader))
        case Operation.CONNECT:
            return ConnectParameters(
                host=_host(reader),
                connector=reader.json('connector'),
                exporter=optional_identifier(reader, 'exporter'),
            )
        case Operation.DISCONNECT:
            return DisconnectParameters(
                host=_host(reader) if reader.has('host') else None
            )
        case Operation.SNAPSHOT:
            return SnapshotParameters(
                snapshot_id=reader.identifier('snapshot_id'),
                **description_from(reader),
            )
        case Operation.DELETE_SNAPSHOT:
            return DeleteSnapshotParameters(
                snapshot_id=reader.identifier('snapshot_id')
            )
        case Operation.REVERT:
            return RevertParameters(
                snapshot_id=reader.identifier('snapshot_id')
            )
        case Operation.CLONE:
            return CloneParameters(
                source_id=reader.identifier('source_id'),
                snapshot_id=optional_identifier(reader, 'snapshot_id'),
                size_bytes=size(reader),
                **description_from(reader),
                format=reader.optional_choice('format', Format),
                provisioning=reader.optional_choice(
                    'provisioning', Provisioning
                ),
                pool=optional_identifier(reader, 'pool'),
            )
        case Operation.IMPORT:
            return ImportParameters(
                url=reader.text('url'),
                image_format=reader.text('image_format', max_length=64),
                hash_algorithm=reader.text(
                    'hash_algorithm', default='', max_length=64
                ),
                hash_value=reader.text(
                    'hash_value', default='', max_length=255
                ),
                size_bytes=size(reader),
                **description_from(reader),
                format=reader.optional_choice('format', Format),
                provisioning=reader.optional_choice(
                    'provisioning', Provisioning
                ),
                pool=optional_identifier(reader, 'pool'),
            )
        case Operation.SNAPSHOT_GROUP:
            return SnapshotGroupParameters(
                snapshots=reader.identifiers_by_identifier('snapshots'),
                **description_from(reader),
            )


def _host(reader: Reader) -> str:
    host = reader.text('host', max_length=255)
    if not host:
        raise MalformedMessage(reader.path('host'), 'must not be empty')
    return host


def _edit_from(reader: Reader) -> EditParameters:
    """Read an edit; its texts are no longer than Cinder takes."""

    def text(name: str) -> str | None:
        if not reader.has(name):
            return None
        return reader.text(name, max_length=MAX_NAME)

    metadata = (
        reader.strings('metadata', max_length=MAX_NAME)
        if reader.has('metadata')
        else None
    )
    if metadata is not None and '' in metadata:
        raise MalformedMessage(
            reader.path('metadata'), 'must not have an empty key'
        )
    return EditParameters(
        name=text('name'), description=text('description'), metadata=metadata
    )
