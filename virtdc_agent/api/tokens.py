"""Static tokens, for a data centre without Keystone.

The file has a line for each, readable by nobody but the agent::

    name:role,role:project:sha256:<64 hexadecimal digits>

A project may be empty: the roles then hold in the whole data centre. Tokens
are random and long, so that one round of SHA-256 keeps them: there is
nothing to guess. ``virtdc-manage token`` writes the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
import threading

import falcon

from virtdc_agent.api import callers
from virtdc_agent import exceptions

LOG = logging.getLogger(__name__)

PREFIX = 'virtdc_'
"""Begins every token, so that scanners for leaked secrets know it."""
MAX_TOKENS = 1000

IMPLIED = {
    'admin': ('admin', 'operator', 'reader'),
    'operator': ('operator', 'reader'),
    'member': ('member', 'reader'),
    'reader': ('reader',),
    'service': ('service',),
}
"""The roles, with those that each brings."""

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._@-]{0,63}')
_PROJECT = re.compile(r'[A-Za-z0-9._-]{0,255}')
_DIGEST = re.compile(r'[0-9a-f]{64}')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A token, without the token.

    :raises ConfigInvalid: from the constructor: a part breaks its rule.
    """

    name: str
    roles: tuple[str, ...]
    project_id: str
    digest: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise exceptions.ConfigInvalid(
                'a token has a name of letters, digits, dots, dashes, at '
                'signs and underscores'
            )
        unknown = set(self.roles) - set(IMPLIED)
        if unknown or not self.roles:
            raise exceptions.ConfigInvalid(
                f'token {self.name}: its roles are of '
                f'{", ".join(sorted(IMPLIED))}'
            )
        if not _PROJECT.fullmatch(self.project_id):
            raise exceptions.ConfigInvalid(
                f'token {self.name}: a project has letters, digits, dots, '
                'dashes and underscores'
            )
        if 'member' in self.roles and not self.project_id:
            raise exceptions.ConfigInvalid(
                f'token {self.name}: a member is one of a project; name it'
            )
        if not _DIGEST.fullmatch(self.digest):
            raise exceptions.ConfigInvalid(
                f'token {self.name}: its hash is not 64 hexadecimal digits'
            )

    @property
    def line(self) -> str:
        """The entry as it stands in the file."""
        return (
            f'{self.name}:{",".join(self.roles)}:{self.project_id}:'
            f'sha256:{self.digest}'
        )

    @property
    def caller(self) -> callers.Caller:
        """Who has the token."""
        return callers.Caller(
            user_id=self.name,
            name=self.name,
            scope=(
                callers.Scope.PROJECT
                if self.project_id
                else callers.Scope.PLATFORM
            ),
            project_id=self.project_id or None,
            roles=frozenset(
                role for named in self.roles for role in IMPLIED[named]
            ),
        )


def make(
    name: str, roles: Sequence[str], project_id: str
) -> tuple[str, Entry]:
    """Return a new token, which is nowhere else, and its entry.

    :raises ConfigInvalid: a part breaks its rule.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    return token, Entry(
        name=name,
        roles=tuple(roles),
        project_id=project_id,
        digest=digest_of(token),
    )


def digest_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def read(path: str) -> Sequence[Entry]:
    """Return the entries of a file.

    :raises ConfigInvalid: it cannot be read, others may write or read it,
        or a line is wrong; names the line, never its content.
    """
    try:
        with open(path, encoding='utf-8') as file:
            status = os.fstat(file.fileno())
            lines = file.read(1024 * MAX_TOKENS).splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise exceptions.ConfigInvalid(
            f'[api] tokens_file = {path} cannot be read: {exc}'
        ) from exc
    if status.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise exceptions.ConfigInvalid(
            f'[api] tokens_file = {path} is open to others: chmod 600 {path}'
        )
    return parse(lines, path)


def parse(lines: Iterable[str], path: str) -> Sequence[Entry]:
    """Return the entries of lines.

    :raises ConfigInvalid: a line is wrong.
    """
    entries: list[Entry] = []
    names: set[str] = set()
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith('#'):
            continue
        parts = line.split(':')
        if len(parts) != 5 or parts[3] != 'sha256':
            raise exceptions.ConfigInvalid(
                f'{path}, line {number}: a token is written as '
                'name:roles:project:sha256:hash'
            )
        try:
            entry = Entry(
                name=parts[0],
                roles=tuple(parts[1].split(',')),
                project_id=parts[2],
                digest=parts[4],
            )
        except exceptions.ConfigInvalid as exc:
            raise exceptions.ConfigInvalid(
                f'{path}, line {number}: {exc}'
            ) from exc
        if entry.name in names:
            raise exceptions.ConfigInvalid(
                f'{path}, line {number}: there are two tokens {entry.name}'
            )
        names.add(entry.name)
        entries.append(entry)
    if len(entries) > MAX_TOKENS:
        raise exceptions.ConfigInvalid(
            f'{path}: more than {MAX_TOKENS} tokens'
        )
    return entries


class Tokens:
    """Knows static tokens; looks at the file again when it has changed.

    A file that has become unreadable or wrong lets nobody in, and says so
    once in the log.

    :raises ConfigInvalid: the file is wrong now.
    """

    challenge = 'Bearer realm="virtdc"'

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = _stamp(path)
        self._entries = read(path)

    def use(self, path: str) -> None:
        """Know those of another file from now on."""
        with self._lock:
            if path != self._path:
                self._path, self._seen = path, ()

    @property
    def entries(self) -> Sequence[Entry]:
        """The tokens that are known now."""
        with self._lock:
            seen = _stamp(self._path)
            if seen != self._seen:
                self._seen = seen
                try:
                    self._entries = read(self._path)
                    LOG.info(
                        'Read %d tokens from %s.',
                        len(self._entries),
                        self._path,
                    )
                except exceptions.ConfigInvalid as exc:
                    self._entries = []
                    LOG.error('No token is accepted for now: %s', exc)
            return self._entries

    def authenticate(self, req: falcon.Request) -> callers.Caller | None:
        """See ``callers.Authenticator``."""
        token = presented_token(req)
        if token is None:
            return None
        digest = digest_of(token)
        found: Entry | None = None
        for entry in self.entries:
            # All are compared, so that time tells nothing of which.
            if hmac.compare_digest(entry.digest, digest):
                found = entry
        if found is None:
            raise callers.Unauthenticated('no such token')
        return found.caller


def presented_token(req: falcon.Request) -> str | None:
    """Return the token in ``Authorization`` or ``X-Auth-Token``."""
    header = req.get_header('Authorization') or ''
    scheme, _, token = header.partition(' ')
    if scheme.lower() == 'bearer' and token.strip():
        return token.strip()
    return req.get_header('X-Auth-Token')


def _stamp(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (
        *(status.st_mtime_ns, status.st_ino, status.st_size),
        *(status.st_mode, status.st_ctime_ns),
    )
