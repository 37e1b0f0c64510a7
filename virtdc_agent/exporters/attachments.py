"""Which hosts reach a volume through a target, and as whom.

The journal names a volume's hosts; what a target has to know of them besides
is kept here, in a file for each volume. It holds no secret. It is written
before the target is changed, so that a target never lets anyone in who is not
in its record: what is to be undone can always be told.
"""

from __future__ import annotations

from collections.abc import Collection
import dataclasses
import json
import logging
import os

from virtdc_agent.exporters import durable

LOG = logging.getLogger(__name__)

_SUFFIX = '.json'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One host's access.

    :param initiator: the iSCSI name that the host calls itself by.
    :param account: the name, not the secret, that it proves itself with.
    :param is_leaving: it is to be shut out, or is so already.
    """

    host: str
    initiator: str
    account: str
    is_leaving: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A volume that has, or is to have, a target.

    :param has_discard: whether hosts may give space back.
    :param attachments: in the order in which their accounts were bound.
    """

    volume_id: str
    has_discard: bool
    attachments: tuple[Attachment, ...] = ()

    @property
    def staying(self) -> tuple[Attachment, ...]:
        """Those that are to have access."""
        return tuple(one for one in self.attachments if not one.is_leaving)

    @property
    def leaving(self) -> tuple[Attachment, ...]:
        """Those that are to have none any more."""
        return tuple(one for one in self.attachments if one.is_leaving)

    def get(self, host: str) -> Attachment | None:
        """Return a host's attachment, if it is to have access."""
        for one in self.staying:
            if one.host == host:
                return one
        return None

    def to_bytes(self) -> bytes:
        """Return the content of the record's file."""
        return json.dumps(
            {'version': 1, **dataclasses.asdict(self)}, sort_keys=True
        ).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Export:
        """Read the content of a record's file.

        :raises ValueError: it is damaged, or of another version.
        """
        match json.loads(content):
            case {
                'version': 1,
                'volume_id': str(volume_id),
                'has_discard': bool(has_discard),
                'attachments': list(attachments),
            }:
                return cls(
                    volume_id=volume_id,
                    has_discard=has_discard,
                    attachments=tuple(map(_attachment, attachments)),
                )
        raise ValueError('not a record of version 1')


class Exports:
    """The records of all volumes. For one thread at a time.

    :raises OSError: from any method; what is on disk may be old or new.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._exports: dict[str, Export] = {}

    def load(self) -> None:
        """Read what there is; it is remembered from then on.

        What cannot be understood is reported and counts as not there.
        """
        durable.prepare(self._folder)
        self._exports.clear()
        for name in sorted(os.listdir(self._folder)):
            path = os.path.join(self._folder, name)
            with open(path, 'rb') as file:
                content = file.read()
            try:
                export = Export.from_bytes(content)
                if export.volume_id + _SUFFIX != name:
                    raise ValueError('the record of another volume')
            except ValueError as exc:
                LOG.error(
                    '%s does not say which hosts use the volume (%s): detach '
                    'and attach it again.',
                    path,
                    exc,
                )
                continue
            self._exports[export.volume_id] = export

    def get(self, volume_id: str) -> Export | None:
        """Return a volume's record, if it has one."""
        return self._exports.get(volume_id)

    def all(self) -> Collection[Export]:
        """Return all records, as they are now."""
        return tuple(self._exports.values())

    def put(self, export: Export) -> None:
        """Keep a volume's record; without attachments, forget it."""
        path = os.path.join(self._folder, export.volume_id + _SUFFIX)
        if export.attachments:
            if self._exports.get(export.volume_id) != export:
                durable.write(path, export.to_bytes())
            self._exports[export.volume_id] = export
        else:
            durable.remove(path)
            self._exports.pop(export.volume_id, None)


def _attachment(data: object) -> Attachment:
    match data:
        case {
            'host': str(host),
            'initiator': str(initiator),
            'account': str(account),
            'is_leaving': bool(is_leaving),
        }:
            return Attachment(
                host=host,
                initiator=initiator,
                account=account,
                is_leaving=is_leaving,
            )
    raise ValueError('not an attachment')
