"""The trash: volumes that were deleted and can still be restored."""

from __future__ import annotations

import dataclasses

import falcon

from virtdc_agent.api import access
from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import schemas
from virtdc_agent.api import submitting
from virtdc_agent.api.submitting import Identity
from virtdc_agent.api.submitting import Wish
from virtdc_agent.api import views
from virtdc_agent.contract import events

_TAG = 'trash'
_SCAN = 500
_PROBLEMS = {
    404: 'no such volume lies in the trash',
    **submitting.ACCEPTED_PROBLEMS,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Trash:
    """All that lies in the trash."""

    platform: Platform

    @actions.described(
        Action(
            name='listTrash',
            summary='List deleted volumes that can still be restored',
            tag=_TAG,
            rule='trash:list',
            query={
                'project_id': schemas.PROJECT,
                'marker': schemas.IDENTIFIER,
                'limit': schemas.LIMIT,
            },
            answer=Answer(schema='TrashPage'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List what is of one's project, or all."""
        query = req.context.query
        project_id = access.Access(self.platform, req).scope(
            'trash', query.get('project_id')
        )
        limit: int = query['limit']
        # One more than is told says whether there are more.
        found = self._find(project_id, query.get('marker'), limit + 1)
        page = found[:limit]
        resp.media = {
            'trash': [views.of_trashed(one) for one in page],
            'next_marker': (
                page[-1].volume.volume_id if len(found) > limit else None
            ),
        }

    def _find(
        self, project_id: str | None, marker: str | None, limit: int
    ) -> list[events.TrashedVolume]:
        found: list[events.TrashedVolume] = []
        while len(found) < limit:
            page = self.platform.journal.get_trash(marker, _SCAN)
            found += [
                one
                for one in page.trashed
                if project_id is None or one.volume.project_id == project_id
            ]
            marker = page.next_marker
            if marker is None:
                break
        return found[:limit]


@dataclasses.dataclass(frozen=True, slots=True)
class Trashed:
    """One volume in the trash."""

    platform: Platform

    @actions.described(
        Action(
            name='purgeVolume',
            summary='Remove a volume from the trash, for good',
            tag=_TAG,
            rule='trash:purge',
            headers=submitting.IDEMPOTENCY,
            answer=submitting.ACCEPTED,
            problems=_PROBLEMS,
        ),
        schemas.BODIES,
    )
    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, volume_id: str
    ) -> None:
        """Have it removed for good."""
        rights = access.Access(self.platform, req)

        def decide(identity: Identity, former: events.Event | None) -> Wish:
            if former is not None and isinstance(
                former.parameters, events.PurgeParameters
            ):
                project_id = rights.project_of(former, 'trash:purge')
                parameters = former.parameters
            else:
                trashed = rights.trashed(volume_id, 'trash:purge')
                project_id = trashed.volume.project_id
                # What somebody puts there under this name meanwhile stays.
                parameters = events.PurgeParameters(
                    deleted_by=trashed.event_id
                )
            return Wish(
                volume_id=volume_id,
                parameters=parameters,
                project_id=project_id,
            )

        submitting.submit(self.platform, req, resp, decide)


@dataclasses.dataclass(frozen=True, slots=True)
class Restore:
    """Taking one volume out of the trash."""

    platform: Platform

    @actions.described(
        Action(
            name='restoreVolume',
            summary='Have a deleted volume be as it was',
            tag=_TAG,
            rule='trash:restore',
            headers=submitting.IDEMPOTENCY,
            answer=submitting.ACCEPTED,
            problems=_PROBLEMS,
        ),
        schemas.BODIES,
    )
    def on_post(
        self, req: falcon.Request, resp: falcon.Response, volume_id: str
    ) -> None:
        """Have it restored."""
        rights = access.Access(self.platform, req)

        def decide(identity: Identity, former: events.Event | None) -> Wish:
            if former is not None:
                project_id = rights.project_of(former, 'trash:restore')
            else:
                project_id = rights.trashed(
                    volume_id, 'trash:restore'
                ).volume.project_id
            return Wish(
                volume_id=volume_id,
                parameters=events.RestoreParameters(),
                project_id=project_id,
            )

        submitting.submit(self.platform, req, resp, decide)
