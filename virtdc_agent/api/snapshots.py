"""Snapshots of volumes."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

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
from virtdc_agent import model

_TAG = 'snapshots'


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshots:
    """All snapshots."""

    platform: Platform

    @actions.described(
        Action(
            name='listSnapshots',
            summary='List snapshots, by id',
            tag=_TAG,
            rule='snapshots:list',
            query={
                'project_id': schemas.PROJECT,
                'volume_id': schemas.IDENTIFIER,
                'marker': schemas.IDENTIFIER,
                'limit': schemas.LIMIT,
            },
            answer=Answer(schema='SnapshotPage'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List snapshots of one's project, or of all."""
        query = req.context.query
        page = self.platform.keeping.get_snapshot_page(
            model.SnapshotQuery(
                project_id=access.Access(self.platform, req).scope(
                    'snapshots', query.get('project_id')
                ),
                volume_id=query.get('volume_id'),
                marker=query.get('marker'),
                limit=query['limit'],
            )
        )
        resp.media = {
            'snapshots': [views.of_snapshot(one) for one in page.snapshots],
            'next_marker': page.next_marker,
        }

    @actions.described(
        Action(
            name='createSnapshot',
            summary='Take a snapshot of a volume, or of several at one '
            'instant',
            tag=_TAG,
            rule='snapshots:create',
            headers=submitting.IDEMPOTENCY,
            body='SnapshotCreate',
            answer=submitting.ACCEPTED,
            problems={
                404: 'there is no such volume',
                **submitting.ACCEPTED_PROBLEMS,
            },
        ),
        schemas.BODIES,
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Have a snapshot taken."""
        rights, body = access.Access(self.platform, req), req.context.body

        if ('volume_id' in body) == ('volume_ids' in body):
            raise problems.invalid(
                'volume_id', 'name either one volume, or several in volume_ids'
            )
        described = {
            name: body[name]
            for name in ('name', 'description', 'metadata')
            if name in body
        }

        def decide(identity: Identity, former: events.Event | None) -> Wish:
            volume_ids = body.get('volume_ids') or [body['volume_id']]
            if former is not None:
                project_id = rights.project_of(former, 'snapshots:create')
            else:
                found = [
                    rights.volume(volume_id, 'snapshots:create')
                    for volume_id in volume_ids
                ]
                if 'volume_ids' in body:
                    self._check_group(found)
                project_id = found[0].project_id
            if 'volume_id' in body:
                parameters: events.Parameters = events.SnapshotParameters(
                    snapshot_id=identity.derive('snapshot'), **described
                )
            else:
                parameters = events.SnapshotGroupParameters(
                    snapshots={
                        volume_id: identity.derive(f'snapshot\n{volume_id}')
                        for volume_id in volume_ids
                    },
                    **described,
                )
            return Wish(
                volume_id=min(volume_ids),
                parameters=parameters,
                project_id=project_id,
            )

        submitting.submit(self.platform, req, resp, decide)

    def _check_group(self, group: Sequence[events.Volume]) -> None:
        """Refuse volumes that have no instant, or no owner, in common."""
        for volume in group:
            volumes.check_unused(self.platform, volume)
        if len({volume.project_id for volume in group}) > 1:
            raise problems.Problem(
                409,
                'volumes-of-several-projects',
                'These volumes are of several projects: take snapshots of '
                'those of one project at a time.',
            )


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot."""

    platform: Platform

    @actions.described(
        Action(
            name='showSnapshot',
            summary='Show a snapshot',
            tag=_TAG,
            rule='snapshots:show',
            answer=Answer(schema='Snapshot'),
            problems={404: 'there is no such snapshot'},
        ),
        schemas.BODIES,
    )
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, snapshot_id: str
    ) -> None:
        """Show a snapshot."""
        resp.media = views.of_snapshot(
            access.Access(self.platform, req).snapshot(
                snapshot_id, 'snapshots:show'
            )
        )

    @actions.described(
        Action(
            name='deleteSnapshot',
            summary='Delete a snapshot',
            tag=_TAG,
            rule='snapshots:delete',
            headers=submitting.IDEMPOTENCY,
            answer=submitting.ACCEPTED,
            problems={
                404: 'there is no such snapshot',
                **submitting.ACCEPTED_PROBLEMS,
            },
        ),
        schemas.BODIES,
    )
    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, snapshot_id: str
    ) -> None:
        """Have a snapshot deleted."""
        rights = access.Access(self.platform, req)

        def decide(identity: Identity, former: events.Event | None) -> Wish:
            if former is not None:
                project_id = rights.project_of(former, 'snapshots:delete')
                volume_id = former.volume_id
            else:
                snapshot = rights.snapshot(snapshot_id, 'snapshots:delete')
                project_id = snapshot.project_id
                volume_id = snapshot.volume_id
            return Wish(
                volume_id=volume_id,
                parameters=events.DeleteSnapshotParameters(
                    snapshot_id=snapshot_id
                ),
                project_id=project_id,
            )

        submitting.submit(self.platform, req, resp, decide)


@dataclasses.dataclass(frozen=True, slots=True)
class Revert:
    """Going back to one snapshot."""

    platform: Platform

    @actions.described(
        Action(
            name='revertToSnapshot',
            summary='Have a volume read as its snapshot does',
            tag=_TAG,
            rule='snapshots:revert',
            headers=submitting.IDEMPOTENCY,
            answer=submitting.ACCEPTED,
            problems={
                404: 'there is no such snapshot',
                **submitting.ACCEPTED_PROBLEMS,
            },
        ),
        schemas.BODIES,
    )
    def on_post(
        self, req: falcon.Request, resp: falcon.Response, snapshot_id: str
    ) -> None:
        """Have a volume reverted."""
        rights = access.Access(self.platform, req)

        def decide(identity: Identity, former: events.Event | None) -> Wish:
            if former is not None:
                project_id = rights.project_of(former, 'snapshots:revert')
                volume_id = former.volume_id
            else:
                snapshot = rights.snapshot(snapshot_id, 'snapshots:revert')
                volume_id = snapshot.volume_id
                volume = self.platform.journal.get_volume(volume_id)
                volumes.check_unused(self.platform, volume)
                project_id = snapshot.project_id
            return Wish(
                volume_id=volume_id,
                parameters=events.RevertParameters(snapshot_id=snapshot_id),
                project_id=project_id,
            )

        submitting.submit(self.platform, req, resp, decide)
