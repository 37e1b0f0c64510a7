"""Who the caller is: for programs that show only what may be done."""

from __future__ import annotations

import dataclasses

import falcon

from virtdc_agent.api import access
from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import policies
from virtdc_agent.api import schemas


@dataclasses.dataclass(frozen=True, slots=True)
class Me:
    """The caller."""

    platform: Platform

    @actions.described(
        Action(
            name='showMe',
            summary='See who you are to this API, and what you may do',
            tag='me',
            rule='me:show',
            answer=Answer(schema='Me'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Say who asks; the rights are those on things of their project."""
        rights = access.Access(self.platform, req)
        rights.allow('me:show')
        caller = rights.caller
        resp.media = {
            'user_id': caller.user_id,
            'name': caller.name,
            'scope': caller.scope.value,
            'project_id': caller.project_id,
            'roles': sorted(caller.roles),
            'may': [
                rule for rule in policies.rule_names() if rights.allows(rule)
            ],
        }
