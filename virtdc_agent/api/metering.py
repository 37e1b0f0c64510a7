"""Counts what the API answers."""

from __future__ import annotations

import falcon

from virtdc_agent import interfaces


class Requests:
    """Tells a meter of each request; the first to see it, the last to go."""

    def __init__(
        self, meter: interfaces.Meter, clock: interfaces.Clock
    ) -> None:
        self._meter = meter
        self._clock = clock

    def process_request(
        self, req: falcon.Request, resp: falcon.Response
    ) -> None:
        """Note when it came."""
        req.context.came_at = self._clock.monotonic()

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        req_succeeded: bool,
    ) -> None:
        """Tell how it was answered."""
        came_at = getattr(req.context, 'came_at', self._clock.monotonic())
        self._meter.answered(
            req.method,
            req.uri_template or 'none',
            resp.status_code,
            self._clock.monotonic() - came_at,
        )
