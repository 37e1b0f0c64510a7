"""Volumes that move from pool to pool."""

from __future__ import annotations

import dataclasses

import falcon

from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import schemas
from virtdc_agent.api import submitting
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
        body = req.context.body
        provisioning = body.get('provisioning')

        def check(volume: events.Volume) -> None:
            self.platform.require(events.Operation.MIGRATE)
            self.platform.check_pool(body['pool'])
            volumes.check_unused(self.platform, volume)

        submitting.submit_about(
            *(self.platform, req, resp),
            volume_id=volume_id,
            rule='volumes:migrate',
            parameters=events.MigrateParameters(
                pool=body['pool'],
                provisioning=provisioning
                and events.Provisioning(provisioning),
            ),
            check=check,
        )
