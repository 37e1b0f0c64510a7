"""Volumes that move from pool to pool."""

from __future__ import annotations

import dataclasses

import falcon

from virtdc_agent.api import access
from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import schemas
from virtdc_agent.api import submitting
from virtdc_agent.api.submitting import Identity
from virtdc_agent.api.submitting import Wish
from virtdc_agent.api import volumes
from virtdc_agent.contract import events


@dataclasses.dataclass(frozen=True, slots=True)
class Migrate:
    """Moving one volume to another pool."""

    platform: Platform

    @actions.described(
        Action(
            name='migrateVolume',
            summary='Move a volume to another pool of this data centre',
            tag='volumes',
            rule='volumes:migrate',
            headers=submitting.IDEMPOTENCY,
            body='VolumeMigrate',
            answer=submitting.ACCEPTED,
            problems={
                404: 'there is no such volume',
                **submitting.ACCEPTED_PROBLEMS,
            },
        ),
        schemas.BODIES,
    )
    def on_post(
        self, req: falcon.Request, resp: falcon.Response, volume_id: str
    ) -> None:
        """Have a volume moved."""
        rights, body = access.Access(self.platform, req), req.context.body

        def decide(identity: Identity, former: events.Event | None) -> Wish:
            if former is not None:
                project_id = rights.project_of(former, 'volumes:migrate')
            else:
                volume = rights.volume(volume_id, 'volumes:migrate')
                self.platform.require(events.Operation.MIGRATE)
                self.platform.check_pool(body['pool'])
                volumes.check_unused(self.platform, volume)
                project_id = volume.project_id
            provisioning = body.get('provisioning')
            return Wish(
                volume_id=volume_id,
                parameters=events.MigrateParameters(
                    pool=body['pool'],
                    provisioning=provisioning
                    and events.Provisioning(provisioning),
                ),
                project_id=project_id,
            )

        submitting.submit(self.platform, req, resp, decide)
