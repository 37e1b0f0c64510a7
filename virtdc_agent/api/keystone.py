"""Callers that Keystone vouches for.

``keystonemiddleware`` stands before the application. It removes the headers
read here from what a client sent, and writes what Keystone said of the
client's token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import falcon
from keystonemiddleware import auth_token
from oslo_config import cfg

from virtdc_agent.api import callers


class Keystone:
    """Reads what the middleware has written."""

    challenge = 'Keystone'

    def authenticate(self, req: falcon.Request) -> callers.Caller | None:
        """See ``callers.Authenticator``."""
        status = req.get_header('X-Identity-Status')
        if status is None:
            return None
        if status != 'Confirmed':
            raise callers.Unauthenticated('Keystone does not know the token')
        user_id = req.get_header('X-User-Id')
        if not user_id:
            raise callers.Unauthenticated('the token is of no user')
        return callers.Caller(
            user_id=user_id,
            name=req.get_header('X-User-Name') or user_id,
            scope=callers.Scope.PROJECT,
            project_id=req.get_header('X-Project-Id') or None,
            roles=frozenset(
                role.strip().lower()
                for role in (req.get_header('X-Roles') or '').split(',')
                if role.strip()
            ),
        )


def protect(
    application: Callable[..., Any], conf: cfg.ConfigOpts
) -> Callable[..., Any]:
    """Return an application behind Keystone's middleware.

    It lets requests without a good token through: the application answers
    those in its own form.
    """
    protected: Callable[..., Any] = auth_token.AuthProtocol(
        application,
        {'oslo_config_config': conf, 'delay_auth_decision': True},
    )
    return protected
