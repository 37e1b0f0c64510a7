"""Files of the storage that become volumes, and volumes given up again."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import falcon

from virtdc_agent.api import access
from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import problems
from virtdc_agent.api import schemas
from virtdc_agent.api import submitting
from virtdc_agent.api.submitting import Identity
from virtdc_agent.api.submitting import Wish
from virtdc_agent.api import views
from virtdc_agent.api import volumes
from virtdc_agent.contract import events

_TAG = 'volumes'


@dataclasses.dataclass(frozen=True, slots=True)
class Manageables:
    """What lies in a pool and is a volume, or may become one."""

    platform: Platform

    @actions.described(
        Action(
            name='listManageable',
            summary='List what lies in a pool and is a volume, or may become '
            'one',
            tag=_TAG,
            rule='manageable:list',
            query={
                'pool': schemas.IDENTIFIER,
                'marker': schemas.REFERENCE,
                'limit': schemas.LIMIT,
            },
            answer=Answer(schema='ManageablePage'),
            problems={
                409: 'the storage of this pool cannot do that',
                501: 'the storage does not offer this',
                503: 'the storage does not answer; ask again later',
            },
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List it, by reference."""
        access.Access(self.platform, req).allow('manageable:list')
        self.platform.require(events.Operation.MANAGE)
        query = req.context.query
        self.platform.check_pool(query.get('pool'))
        page = self.platform.manageables.list_volumes(
            query.get('pool'), query.get('marker'), query['limit']
        )
        resp.media = {
            'manageable': [views.of_manageable(one) for one in page.found],
            'next_marker': page.next_marker,
        }

    @actions.described(
        Action(
            name='manageVolume',
            summary='Make a volume of what lies in a pool',
            tag=_TAG,
            rule='volumes:manage',
            headers=submitting.IDEMPOTENCY,
            body='VolumeManage',
            answer=submitting.ACCEPTED,
            problems={
                404: 'nothing of this name lies in the pool',
                **submitting.ACCEPTED_PROBLEMS,
            },
        ),
        schemas.BODIES,
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Have it be a volume."""
        rights, body = access.Access(self.platform, req), req.context.body

        def decide(identity: Identity, former: events.Event | None) -> Wish:
            project_id = volumes.owner_of(rights, body)
            rights.allow('volumes:manage', project_id)
            self.platform.require(events.Operation.MANAGE)
            return Wish(
                volume_id=identity.derive('volume'),
                parameters=events.ManageParameters(
                    reference=body['reference'],
                    size_bytes=self._size(body, former),
                    pool=body.get('pool'),
                    **volumes.described(body),
                ),
                project_id=project_id,
            )

        submitting.submit(self.platform, req, resp, decide)

    def _size(self, body: dict[str, Any], former: events.Event | None) -> int:
        """Return the size that the volume is to have; at least its own."""
        wanted = body.get('size_bytes')
        if former is not None:
            # It may be a volume by now.
            known = getattr(former.parameters, 'size_bytes', 1)
            return int(known if wanted is None else wanted)
        pool, reference = body.get('pool'), body['reference']
        self.platform.check_pool(pool)
        found = self.platform.manageables.find_volume(pool, reference)
        if found is None:
            raise problems.not_found('manageable', reference)
        if not found.is_safe:
            raise problems.Problem(
                409,
                'not-manageable',
                f'{reference} cannot become a volume: {found.reason}',
            )
        if wanted is None and not found.size_bytes:
            raise problems.invalid(
                'size_bytes', 'is missing, and the storage does not know it'
            )
        if wanted is not None and wanted < found.size_bytes:
            raise problems.invalid(
                'size_bytes',
                f'must be at least what it has, {found.size_bytes}',
            )
        return int(found.size_bytes if wanted is None else wanted)


@dataclasses.dataclass(frozen=True, slots=True)
class Unmanage:
    """Giving up one volume."""

    platform: Platform

    @actions.described(
        Action(
            name='unmanageVolume',
            summary='Give up a volume; its bytes stay in the storage',
            tag=_TAG,
            rule='volumes:unmanage',
            headers=submitting.IDEMPOTENCY,
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
        """Have a volume given up."""
        submitting.submit_about(
            *(self.platform, req, resp),
            volume_id=volume_id,
            rule='volumes:unmanage',
            parameters=events.UnmanageParameters(),
            check=functools.partial(volumes.check_unused, self.platform),
        )
