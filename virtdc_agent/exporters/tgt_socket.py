"""Speaks with tgtd over its management socket, as ``tgtadm`` does.

Not by ``tgtadm``: whatever a program is given as an argument, every user of
the machine can read, and it takes secrets in no other way.

A request is a ``struct tgtadm_req`` (usr/tgtadm.h) and a text, the answer a
``struct tgtadm_rsp`` and a text; one of each per connection. They are the
same in tgt 1.0.85 to 1.0.97. tgtd serves who runs as its own user and group,
and nobody else.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import enum
import re
import socket
import struct
import types

from virtdc_agent import exceptions
from virtdc_agent.exporters.tgt_control import Session
from virtdc_agent.exporters.tgt_control import Unit

_REQUEST = struct.Struct('@II64sIiQQIIIIII')
_ANSWER = struct.Struct('@II')
_MAX_TEXT_BYTES = 8 * 1024
_TIMEOUT_S = 10.0
_DRIVER = b'iscsi'
_DISK = 0
_UNIT = 1

_TARGET = re.compile(r'^Target (\d+): (.*)$', re.MULTILINE)
_PORTAL = re.compile(r'^Portal: (.*),\d+$', re.MULTILINE)
_SESSION = re.compile(
    r'^Session: (\d+)\n\s+Connection: (\d+)\n\s+Initiator: (.*)$', re.MULTILINE
)


class _Mode(enum.IntEnum):
    SYSTEM = 0
    TARGET = 1
    UNIT = 2
    PORTAL = 3
    LLD = 4
    SESSION = 5
    CONNECTION = 6
    ACCOUNT = 7


class _Do(enum.IntEnum):
    NEW = 0
    DELETE = 1
    SHOW = 2
    BIND = 3
    UNBIND = 4
    UPDATE = 5


class _Error(enum.IntEnum):
    UNKNOWN = 1
    NO_MEMORY = 2
    NO_DRIVER = 3
    NO_TARGET = 4
    NO_UNIT = 5
    NO_SESSION = 6
    NO_CONNECTION = 7
    NO_BINDING = 8
    TARGET_EXISTS = 9
    UNIT_EXISTS = 10
    BINDING_EXISTS = 11
    ACL_EXISTS = 12
    NO_ACL = 13
    USER_EXISTS = 14
    NO_USER = 15
    TOO_MANY_USERS = 16
    INVALID_REQUEST = 17
    OUT_ACCOUNT_EXISTS = 18
    TARGET_ACTIVE = 19
    UNIT_ACTIVE = 20


_BUSY = frozenset({_Error.TARGET_ACTIVE, _Error.UNIT_ACTIVE})


class TgtSocket:
    """A tgtd, by its management socket. See ``TargetControl``.

    :param path: as tgtd makes it: ``/var/run/tgtd/socket.<control port>``.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def portals(self) -> Collection[str]:
        """See the seam."""
        return _PORTAL.findall(self._ask(_Mode.PORTAL, _Do.SHOW))

    def targets(self) -> Mapping[str, int]:
        """See the seam.

        What a host calls itself is part of the text, between targets, and
        may hold anything, also lines that look like a target's. But it
        cannot take a line away: what is told twice is not believed.
        """
        found = _TARGET.findall(self._ask(_Mode.TARGET, _Do.SHOW, number=-1))
        targets = {name: int(number) for number, name in found}
        if len(found) != len(targets) or len(found) != len(
            set(targets.values())
        ):
            raise exceptions.BackendError(
                'The iSCSI target daemon tells of two targets with one name '
                'or number; its operator has to look at it.'
            )
        return targets

    def add_target(self, number: int, name: str) -> None:
        """See the seam."""
        self._ask(
            *(_Mode.TARGET, _Do.NEW),
            number=number,
            fields={'targetname': name},
        )

    def remove_target(self, number: int) -> None:
        """See the seam.

        Not by force: that ends the daemon if a session has I/O under way.
        """
        self._ask(
            *(_Mode.TARGET, _Do.DELETE),
            number=number,
            fine={_Error.NO_TARGET},
        )

    def add_unit(self, number: int, unit: Unit) -> None:
        """See the seam."""
        self._ask(
            *(_Mode.UNIT, _Do.NEW),
            number=number,
            fine={_Error.UNIT_EXISTS},
            fields={'path': unit.path, 'bstype': 'rdwr'},
        )
        self._ask(
            *(_Mode.UNIT, _Do.UPDATE),
            number=number,
            fields={
                'scsi_id': unit.serial,
                'scsi_sn': unit.serial,
                'thin_provisioning': str(int(unit.has_discard)),
            },
        )

    def add_account(self, account: str, secret: str) -> None:
        """See the seam."""
        self._ask(
            *(_Mode.ACCOUNT, _Do.NEW),
            fine={_Error.USER_EXISTS},
            fields={'user': account, 'password': secret},
        )

    def remove_account(self, account: str) -> None:
        """See the seam."""
        self._ask(
            *(_Mode.ACCOUNT, _Do.DELETE),
            fine={_Error.NO_USER},
            fields={'user': account},
        )

    def bind_account(self, number: int, account: str) -> None:
        """See the seam."""
        self._ask(
            *(_Mode.ACCOUNT, _Do.BIND),
            number=number,
            fine={_Error.USER_EXISTS},
            fields={'user': account},
        )

    def unbind_account(self, number: int, account: str) -> None:
        """See the seam."""
        self._ask(
            *(_Mode.ACCOUNT, _Do.UNBIND),
            number=number,
            fine={_Error.NO_USER},
            fields={'user': account},
        )

    def admit(self, number: int, initiator: str) -> None:
        """See the seam."""
        self._ask(
            *(_Mode.TARGET, _Do.BIND),
            number=number,
            fine={_Error.ACL_EXISTS},
            fields={'initiator-name': initiator},
        )

    def dismiss(self, number: int, initiator: str) -> None:
        """See the seam."""
        self._ask(
            *(_Mode.TARGET, _Do.UNBIND),
            number=number,
            fine={_Error.NO_ACL},
            fields={'initiator-name': initiator},
        )

    def sessions(self, number: int) -> Sequence[Session]:
        """See the seam."""
        text = self._ask(
            *(_Mode.CONNECTION, _Do.SHOW),
            number=number,
            fine={_Error.NO_TARGET},
        )
        return [
            Session(
                session_id=int(session_id),
                connection_id=int(connection_id),
                initiator=initiator,
            )
            for session_id, connection_id, initiator in _SESSION.findall(text)
        ]

    def close(self, number: int, session: Session) -> None:
        """See the seam."""
        self._ask(
            *(_Mode.CONNECTION, _Do.DELETE),
            number=number,
            session=session,
            fine={
                *(_Error.NO_TARGET, _Error.NO_SESSION, _Error.NO_CONNECTION)
            },
        )

    def _ask(
        self,
        mode: _Mode,
        do: _Do,
        *,
        number: int = 0,
        session: Session | None = None,
        fine: Collection[_Error] = (),
        fields: Mapping[str, str] = types.MappingProxyType({}),
    ) -> str:
        """Make a request; return the text of the answer."""
        text = _text_of(fields)
        request = _REQUEST.pack(
            *(mode, do, _DRIVER, _REQUEST.size + len(text), number),
            session.session_id if session else 0,
            _UNIT if mode is _Mode.UNIT else 0,
            session.connection_id if session else 0,
            *(0, _DISK, 0, 0, 0),
        )
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
                channel.settimeout(_TIMEOUT_S)
                channel.connect(self._path)
                channel.sendall(request + text)
                error, size = _ANSWER.unpack(_read(channel, _ANSWER.size))
                answer = _read(channel, size - _ANSWER.size)
        except OSError as exc:
            raise exceptions.BackendUnavailable(
                'The iSCSI target daemon does not answer; try again once its '
                'operator has looked at it.'
            ) from exc
        if error and error not in fine:
            raise _refusal(mode, do, error)
        return answer.rstrip(b'\0').decode('utf-8', 'replace')


def _text_of(fields: Mapping[str, str]) -> bytes:
    """Return fields as tgtd reads them; none can pretend to be two."""
    if not fields:
        return b''
    for name, value in fields.items():
        if not value or re.search(r'[,\x00-\x1f]', value):
            raise exceptions.BackendError(
                f'The iSCSI target daemon cannot be told this {name}, which '
                'is empty or has a comma or a control character in it; its '
                'operator has to look at it.'
            )
    text = ','.join(f'{name}={value}' for name, value in fields.items())
    content = text.encode() + b'\0'
    if len(content) > _MAX_TEXT_BYTES:
        raise exceptions.BackendError(
            'The iSCSI target daemon cannot be told as much at a time; its '
            'operator has to look at it.'
        )
    return content


def _read(channel: socket.socket, size: int) -> bytes:
    """Read so many bytes.

    :raises OSError: there are fewer, or it takes too long.
    """
    parts: list[bytes] = []
    missing = size
    while missing > 0:
        part = channel.recv(min(missing, 1024 * 1024))
        if not part:
            # Also if we are not its user and group.
            raise ConnectionResetError('closed before the answer was whole')
        parts.append(part)
        missing -= len(part)
    return b''.join(parts)


def _refusal(mode: _Mode, do: _Do, error: int) -> exceptions.BackendError:
    if error in _BUSY:
        return exceptions.BackendBusy(
            'A host still reads or writes over iSCSI; try again later.'
        )
    try:
        reason = _Error(error).name.lower()
    except ValueError:
        reason = f'error {error}'
    return exceptions.BackendError(
        f'The iSCSI target daemon refused {do.name.lower()} of '
        f'{mode.name.lower()} ({reason}); its operator has to look at it.'
    )
