"""A filter that lets clients without any token into a cloud without Keystone.

Cinder's ``noauth`` reads user and project out of the token. keystoneauth's
``none``, and everything that discovers versions before it has a token,
sends nothing useful there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

App = Callable[[dict[str, Any], Callable[..., Any]], Any]


def filter_factory(
    _global: dict[str, str], *, token: str
) -> Callable[[App], App]:
    """Return the filter; ``token`` stands in for a missing one."""

    def wrap(app: App) -> App:
        def call(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
            if environ.get('HTTP_X_AUTH_TOKEN', 'notused') == 'notused':
                environ['HTTP_X_AUTH_TOKEN'] = token
            return app(environ, start)

        return call

    return wrap
