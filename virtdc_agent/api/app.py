"""Puts the application together."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from typing import Any

import falcon

from virtdc_agent.api import admission
from virtdc_agent.api import callers
from virtdc_agent.api import console
from virtdc_agent.api import metering
from virtdc_agent.api import openapi
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import problems
from virtdc_agent.api import rates
from virtdc_agent.api import routes

Application = Callable[..., Any]
FAILURES_PER_S = 1.0
FAILURES_BURST = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the application behaves.

    :param authenticators: each knows one kind of credential.
    :param local_only: nobody is authenticated; keep others' web pages out.
    :param secure: reached over TLS alone.
    :param requests: how many each caller may make.
    """

    authenticators: Sequence[callers.Authenticator]
    local_only: bool = False
    secure: bool = False
    requests: rates.Rates
    enable_sse: bool = True
    console: bool = True


def make_application(platform: Platform, settings: Settings) -> Application:
    """Return the WSGI application."""
    middleware: list[Any] = [
        metering.Requests(platform.meter, platform.clock),
        admission.RequestIds(),
        admission.Headers(secure=settings.secure),
    ]
    if settings.local_only:
        middleware.append(admission.LocalOnly())
    middleware.append(
        admission.Admission(
            settings.authenticators,
            requests=settings.requests,
            failures=rates.Rates(
                platform.clock, per_s=FAILURES_PER_S, burst=FAILURES_BURST
            ),
        )
    )
    app = falcon.App(middleware=middleware)
    app.req_options.strip_url_path_trailing_slash = False
    for kind in (Exception, falcon.HTTPError):
        app.add_error_handler(kind, problems.handle)
    for route in list_routes(platform, enable_sse=settings.enable_sse):
        app.add_route(route.path, route.resource, suffix=route.suffix)
    if settings.console:
        console.add_to(app)
    return app


def list_routes(
    platform: Platform, *, enable_sse: bool = True
) -> Sequence[routes.Route]:
    """Return all routes, the document of the others last."""
    found = [
        route
        for route in routes.list_routes(platform)
        if enable_sse or route.path != '/v1/stream'
    ]
    last = routes.Route(
        path=f'/{routes.VERSION}/openapi.json', resource=openapi.Document({})
    )
    document = openapi.make_document([*found, last])
    return [
        *found,
        dataclasses.replace(last, resource=openapi.Document(document)),
    ]
