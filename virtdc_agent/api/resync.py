"""Comparisons of both sides that somebody asks for."""

from __future__ import annotations

import dataclasses

import falcon

from virtdc_agent.api import access
from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import schemas
from virtdc_agent.api import views
from virtdc_agent import exceptions


@dataclasses.dataclass(frozen=True, slots=True)
class Resync:
    """The one that was asked for last."""

    platform: Platform

    @actions.described(
        Action(
            name='showResync',
            summary='Show the comparison that was asked for last',
            tag='resync',
            rule='resync:show',
            answer=Answer(schema='Resync'),
            problems={404: 'none was ever asked for'},
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show it."""
        access.Access(self.platform, req).allow('resync:show')
        latest = self.platform.keeping.get_resync()
        if latest is None:
            raise exceptions.ResyncNotFound(
                'No comparison was asked for yet: POST asks for one.'
            )
        resp.media = views.of_resync(latest)

    @actions.described(
        Action(
            name='requestResync',
            summary='Have a listener of the cloud compare both sides in full',
            tag='resync',
            rule='resync:request',
            answer=Answer(status=202, schema='Resync'),
        ),
        schemas.BODIES,
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Ask for one; one that waits already is the same."""
        rights = access.Access(self.platform, req)
        rights.allow('resync:request')
        resp.media = views.of_resync(
            self.platform.keeping.request_resync(rights.caller.user_id)
        )
        resp.status = 202
