"""Who a client of the cloud is: with Keystone, or without."""

from __future__ import annotations

import abc
from collections.abc import Mapping
import hashlib
import secrets

from tools.lab import configuration

VOLUME_API_VERSION = '3.70'
"""Of the command line: its default, 3.0, knows no messages."""


ADMIN = 'admin'
"""Name of the administrator, and of its project."""


class Identity(abc.ABC):
    """How services and clients authenticate in this lab."""

    @property
    @abc.abstractmethod
    def strategy(self) -> str:
        """Cinder's ``auth_strategy``."""

    @abc.abstractmethod
    def headers(self, user: str = ADMIN) -> Mapping[str, str]:
        """Return the headers of a user's request."""

    @abc.abstractmethod
    def project_id(self, user: str = ADMIN) -> str:
        """Return the id of the project of a user's name."""

    @abc.abstractmethod
    def environment(self, volume_url: str) -> dict[str, str]:
        """Return what a shell exports to be the administrator."""

    @abc.abstractmethod
    def service_options(
        self, user: str, volume_url: str
    ) -> configuration.Options:
        """Return keystoneauth's options with which ``user`` reaches Cinder.

        :param volume_url: the endpoint of Cinder without a project.
        """


class NoAuth(Identity):
    """A cloud that believes everyone."""

    def __init__(self, project: str | None = None) -> None:
        self._project = project or secrets.token_hex(16)

    @property
    def strategy(self) -> str:
        """Cinder's ``auth_strategy``."""
        return 'noauth'

    @property
    def token(self) -> str:
        """The "token" of the administrator."""
        return f'{ADMIN}:{self._project}'

    def headers(self, user: str = ADMIN) -> Mapping[str, str]:
        """Return the headers of a user's request."""
        return {'X-Auth-Token': f'{user}:{self.project_id(user)}'}

    def project_id(self, user: str = ADMIN) -> str:
        """Return the id of the project of a user's name."""
        if user == ADMIN:
            return self._project
        return hashlib.md5(user.encode(), usedforsecurity=False).hexdigest()

    def environment(self, volume_url: str) -> dict[str, str]:
        """Return what a shell exports to be the administrator."""
        return {
            'OS_AUTH_TYPE': 'none',
            'OS_ENDPOINT': f'{volume_url}/',
            'OS_VOLUME_API_VERSION': VOLUME_API_VERSION,
        }

    def service_options(
        self, user: str, volume_url: str
    ) -> configuration.Options:
        """Return keystoneauth's options; every user is the administrator."""
        return {
            'auth_type': 'admin_token',
            'endpoint': f'{volume_url}/{self._project}',
            'token': self.token,
        }
