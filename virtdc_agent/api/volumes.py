"""Volumes."""

from __future__ import annotations

import dataclasses
from typing import Any

import falcon

from virtdc_agent.api import access
from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api import listing
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import problems
from virtdc_agent.api import schemas
from virtdc_agent.api import submitting
from virtdc_agent.api.submitting import Identity
from virtdc_agent.api.submitting import Wish
from virtdc_agent.api import views
from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent import model

_TAG = 'volumes'
_UNFINISHED = (events.State.WAITING, events.State.RUNNING)
_MAX_OPEN = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Volumes:
    """All volumes."""

    platform: Platform

    @actions.described(
        Action(
            name='listVolumes',
            summary='List volumes',
            tag=_TAG,
            rule='volumes:list',
            query={
                'project_id': schemas.PROJECT,
                'name': schemas.LINE,
                'search': schemas.LINE,
                'sort': schemas.choice(model.VolumeSort),
                'descending': {'type': 'boolean', 'default': False},
                'marker': schemas.MARKER,
                'limit': schemas.LIMIT,
            },
            answer=Answer(schema='VolumePage'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List volumes of one's project, or of all."""
        query = req.context.query
        sort = model.VolumeSort(query.get('sort', model.VolumeSort.ID))
        page = self.platform.keeping.get_volume_page(
            model.VolumeQuery(
                project_id=access.Access(self.platform, req).scope(
                    'volumes', query.get('project_id')
                ),
                name=query.get('name'),
                search=query.get('search'),
                sort=sort,
                descending=query['descending'],
                marker=listing.read_marker(query.get('marker'), sort),
                limit=query['limit'],
            )
        )
        resp.media = {
            'volumes': [views.of_volume(one) for one in page.volumes],
            'next_marker': listing.write_marker(page.next_marker, sort),
        }

    @actions.described(
        Action(
            name='createVolume',
            summary='Make a volume, empty or as a copy',
            tag=_TAG,
            rule='volumes:create',
            headers=submitting.IDEMPOTENCY,
            body='VolumeCreate',
            answer=submitting.ACCEPTED,
            problems={
                404: 'the source is not there',
                **submitting.ACCEPTED_PROBLEMS,
            },
        ),
        schemas.BODIES,
    )
    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Have a volume made."""
        rights, body = access.Access(self.platform, req), req.context.body

        def decide(identity: Identity, former: events.Event | None) -> Wish:
            project_id = owner_of(rights, body)
            rights.allow('volumes:create', project_id)
            if 'pool' in body or 'exporter' in body:
                rights.allow('volumes:place', project_id)
            parameters = self._parameters(rights, body, former)
            volume_id = body.get('volume_id')
            if volume_id is not None:
                # Its owner cannot choose: it might be another's.
                rights.allow('volumes:recreate', project_id)
            return Wish(
                volume_id=volume_id or identity.derive('volume'),
                parameters=parameters,
                project_id=project_id,
            )

        submitting.submit(self.platform, req, resp, decide)

    def _parameters(
        self,
        rights: access.Access,
        body: dict[str, Any],
        former: events.Event | None,
    ) -> events.Parameters:
        placed = self._placed(body, former)
        if 'source_volume_id' in body or 'source_snapshot_id' in body:
            self.platform.require(events.Operation.CLONE)
            source_id, snapshot_id, size_bytes = self._source(
                rights, body, former
            )
            return events.CloneParameters(
                source_id=source_id,
                snapshot_id=snapshot_id,
                size_bytes=size_bytes,
                **placed,
            )
        if 'size_bytes' not in body:
            raise problems.invalid('size_bytes', 'is missing')
        return events.CreateParameters(size_bytes=body['size_bytes'], **placed)

    def _placed(
        self, body: dict[str, Any], former: events.Event | None
    ) -> dict[str, Any]:
        """Return what the volume is to be called, and where it is to lie."""
        placed = described(body)
        exporter = body.get('exporter')
        if former is None:
            self.platform.check_pool(body.get('pool'))
            self.platform.check_exporter(exporter)
        if exporter is not None:
            placed['metadata'] = {
                **placed.get('metadata', {}),
                events.EXPORTER_KEY: exporter,
            }
        return {**placed, 'pool': body.get('pool')}

    def _source(
        self,
        rights: access.Access,
        body: dict[str, Any],
        former: events.Event | None,
    ) -> tuple[str, str | None, int]:
        """Return what to copy: volume, snapshot of it, and size."""
        snapshot_id = body.get('source_snapshot_id')
        volume_id = body.get('source_volume_id')
        if snapshot_id is not None and volume_id is not None:
            raise problems.invalid(
                'source_snapshot_id',
                'names its volume itself: leave source_volume_id out',
            )
        if former is not None and isinstance(
            former.parameters, events.CloneParameters
        ):
            # The source may be gone by now.
            known = former.parameters
            named = known.snapshot_id if snapshot_id else known.source_id
            if named == (snapshot_id or volume_id):
                return (
                    *(known.source_id, known.snapshot_id),
                    int(body.get('size_bytes', known.size_bytes)),
                )
        if snapshot_id is not None:
            snapshot = rights.snapshot(str(snapshot_id), 'snapshots:show')
            source_id, least = snapshot.volume_id, snapshot.size_bytes
        else:
            volume = rights.volume(str(volume_id), 'volumes:show')
            source_id, least = volume.volume_id, volume.size_bytes
        size_bytes = int(body.get('size_bytes', least))
        if size_bytes < least:
            raise problems.invalid(
                'size_bytes', f'must be at least that of the source, {least}'
            )
        return source_id, snapshot_id and str(snapshot_id), size_bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Volume:
    """One volume."""

    platform: Platform

    @actions.described(
        Action(
            name='showVolume',
            summary='Show a volume, and what is being done to it',
            tag=_TAG,
            rule='volumes:show',
            answer=Answer(
                schema='VolumeShown',
                headers={'ETag': 'changes whenever the volume does'},
            ),
            problems={404: 'there is no such volume'},
        ),
        schemas.BODIES,
    )
    def on_get(
        self, req: falcon.Request, resp: falcon.Response, volume_id: str
    ) -> None:
        """Show a volume."""
        volume = access.Access(self.platform, req).volume(
            volume_id, 'volumes:show'
        )
        etag = views.etag_of(volume)
        resp.set_header('ETag', etag)
        resp.media = {
            **views.of_volume(volume),
            'etag': etag,
            'open_events': [
                views.of_record(record)
                for record in open_events(self.platform, volume_id)
            ],
        }

    @actions.described(
        Action(
            name='editVolume',
            summary="Change a volume's name, description or metadata",
            tag=_TAG,
            rule='volumes:edit',
            headers={
                **submitting.IDEMPOTENCY,
                'If-Match': {
                    'type': 'string',
                    'minLength': 1,
                    'maxLength': 255,
                    'description': 'the ETag of the volume as you know it; '
                    'if it is another by now, nothing is changed',
                },
            },
            body='VolumeEdit',
            answer=submitting.ACCEPTED,
            problems={
                404: 'there is no such volume',
                412: 'the volume is not as If-Match says',
                **submitting.ACCEPTED_PROBLEMS,
            },
        ),
        schemas.BODIES,
    )
    def on_patch(
        self, req: falcon.Request, resp: falcon.Response, volume_id: str
    ) -> None:
        """Have a volume's description changed."""
        rights, body = access.Access(self.platform, req), req.context.body

        def decide(identity: Identity, former: events.Event | None) -> Wish:
            unchanged = None
            if former is not None:
                project_id = rights.project_of(former, 'volumes:edit')
            else:
                volume = rights.volume(volume_id, 'volumes:edit')
                project_id = volume.project_id
                if _is_about(req, volume):
                    unchanged = volume
            return Wish(
                volume_id=volume_id,
                parameters=events.EditParameters(
                    name=body.get('name'),
                    description=body.get('description'),
                    metadata=body.get('metadata'),
                ),
                project_id=project_id,
                unchanged=unchanged,
            )

        submitting.submit(self.platform, req, resp, decide)

    @actions.described(
        Action(
            name='deleteVolume',
            summary='Delete a volume',
            tag=_TAG,
            rule='volumes:delete',
            query={
                'force': {
                    'type': 'boolean',
                    'default': False,
                    'description': 'also if hosts use it, of which they are '
                    'not asked; only for operators',
                }
            },
            headers=submitting.IDEMPOTENCY,
            answer=submitting.ACCEPTED,
            problems={
                404: 'there is no such volume',
                **submitting.ACCEPTED_PROBLEMS,
            },
        ),
        schemas.BODIES,
    )
    def on_delete(
        self, req: falcon.Request, resp: falcon.Response, volume_id: str
    ) -> None:
        """Have a volume deleted."""
        force: bool = req.context.query['force']

        def check(volume: events.Volume) -> None:
            if not force:
                check_unused(self.platform, volume)

        submitting.submit_about(
            *(self.platform, req, resp),
            volume_id=volume_id,
            rule='volumes:force_delete' if force else 'volumes:delete',
            parameters=events.DeleteParameters(force=force),
            check=check,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Resize:
    """Growing one volume."""

    platform: Platform

    @actions.described(
        Action(
            name='resizeVolume',
            summary='Grow a volume',
            tag=_TAG,
            rule='volumes:resize',
            headers=submitting.IDEMPOTENCY,
            body='VolumeResize',
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
        """Have a volume grown."""
        size_bytes: int = req.context.body['size_bytes']
        submitting.submit_about(
            *(self.platform, req, resp),
            volume_id=volume_id,
            rule='volumes:resize',
            parameters=events.ExtendParameters(size_bytes=size_bytes),
            check=lambda volume: _check_growth(volume, size_bytes),
        )


def open_events(platform: Platform, volume_id: str) -> list[model.Record]:
    """Return the unfinished events of a volume, oldest first."""
    page = platform.keeping.get_records(
        model.RecordQuery(
            states=_UNFINISHED, volume_id=volume_id, limit=_MAX_OPEN
        )
    )
    return list(reversed(page.records))


def check_unused(platform: Platform, volume: events.Volume) -> None:
    """Refuse to destroy what a host uses.

    With open events of the volume it is not known here: one may disconnect
    it. They decide, in their order.

    :raises Problem: a host uses it.
    """
    if volume.attached_to and not open_events(platform, volume.volume_id):
        raise problems.Problem(
            409,
            'volume-in-use',
            f'Volume {volume.volume_id} is used by '
            f'{", ".join(volume.attached_to)}: detach it first.',
        )


def _is_about(req: falcon.Request, volume: events.Volume) -> bool:
    """Say whether a request is about a volume as it is, and not otherwise.

    That nothing changes it in between, the journal sees to.

    :raises VolumeChanged: it is about the volume as it was.
    """
    wanted = req.get_header('If-Match')
    if wanted is None or wanted == '*':
        return False
    if views.etag_of(volume) in [tag.strip() for tag in wanted.split(',')]:
        return True
    raise exceptions.VolumeChanged(
        f'Volume {volume.volume_id} has changed: look at it again.'
    )


def _check_growth(volume: events.Volume, size_bytes: int) -> None:
    if size_bytes < volume.size_bytes:
        raise problems.Problem(
            409,
            'volume-cannot-shrink',
            f'Volume {volume.volume_id} has {volume.size_bytes} bytes, and '
            'volumes never shrink: ask for more.',
        )


def owner_of(rights: access.Access, body: dict[str, Any]) -> str:
    """Return whose a new thing is to be."""
    wanted = body.get('project_id')
    if wanted is None:
        return rights.caller.project_id or ''
    return str(wanted)


def described(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a new volume is to be called, and its kind."""
    found: dict[str, Any] = {
        name: body[name]
        for name in ('name', 'description', 'metadata')
        if name in body
    }
    if 'format' in body:
        found['format'] = events.Format(str(body['format']))
    if 'provisioning' in body:
        found['provisioning'] = events.Provisioning(str(body['provisioning']))
    return found
