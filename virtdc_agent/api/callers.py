"""Who asks.

An authenticator looks at a request and knows its own kind of credential: a
static token, what Keystone said, a browser's session. The first that finds
its kind decides.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Protocol

import falcon


class Scope(enum.StrEnum):
    """Where a caller's roles hold."""

    PLATFORM = 'platform'
    """In the whole data centre."""
    PROJECT = 'project'
    """In one project, unless a role says otherwise."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Someone whose identity is known.

    :param user_id: stands in the events that they make.
    :param name: for people.
    :param project_id: ``None``: of no project.
    :param roles: in lower case.
    """

    user_id: str
    name: str
    scope: Scope
    project_id: str | None = None
    roles: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """What tells this caller from all others."""
        return f'{self.scope}\n{self.project_id or ""}\n{self.user_id}'


class Unauthenticated(Exception):
    """There is a credential, and it is not good; says why, for the log."""


class Authenticator(Protocol):
    """Knows one kind of credential. Safe from any thread."""

    challenge: str
    """What ``WWW-Authenticate`` says of it."""

    def authenticate(self, req: falcon.Request) -> Caller | None:
        """Return who asks; ``None``: there is no credential of this kind.

        :raises Unauthenticated: there is one, and it is not good.
        """


class Anybody:
    """Takes everyone for the administrator: only where nobody else comes."""

    challenge = 'none'

    def authenticate(self, req: falcon.Request) -> Caller | None:
        """See the protocol."""
        return Caller(
            user_id='anonymous',
            name='anonymous',
            scope=Scope.PLATFORM,
            roles=frozenset(['admin', 'operator', 'reader']),
        )
