"""Which path leads to which resource."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses

import falcon

from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api import alarms
from virtdc_agent.api import changes
from virtdc_agent.api import estate
from virtdc_agent.api import events
from virtdc_agent.api import health
from virtdc_agent.api import managing
from virtdc_agent.api import me
from virtdc_agent.api import migrating
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import resync
from virtdc_agent.api import schemas
from virtdc_agent.api import snapshots
from virtdc_agent.api import trash
from virtdc_agent.api import volumes

VERSION = 'v1'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A path and what answers there.

    :param suffix: of the responders' names, if the resource has several.
    """

    path: str
    resource: object
    suffix: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Versions:
    """What this service speaks."""

    is_public: bool = True

    @actions.described(
        Action(
            name='listVersions',
            summary='See which versions of this API there are',
            tag='versions',
            answer=Answer(schema='Version'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List them."""
        resp.media = {
            'name': 'virtdc',
            'versions': [
                {
                    'id': VERSION,
                    'status': 'CURRENT',
                    'path': f'/{VERSION}',
                    'document': f'/{VERSION}/openapi.json',
                }
            ],
        }


def list_routes(platform: Platform) -> Sequence[Route]:
    """Return all routes but the API's own document."""
    draining = estate.Draining(platform)
    alarm = alarms.Alarm(platform)
    journal = health.JournalCheck(platform)
    return [
        Route(path='/', resource=Versions()),
        Route(path='/healthcheck', resource=health.Ready(platform, journal)),
        Route(path='/healthcheck/live', resource=health.Alive()),
        Route(path='/v1/me', resource=me.Me(platform)),
        Route(path='/v1/volumes', resource=volumes.Volumes(platform)),
        Route(
            path='/v1/volumes/{volume_id}', resource=volumes.Volume(platform)
        ),
        Route(
            path='/v1/volumes/{volume_id}/resize',
            resource=volumes.Resize(platform),
        ),
        Route(
            path='/v1/volumes/{volume_id}/migrate',
            resource=migrating.Migrate(platform),
        ),
        Route(
            path='/v1/volumes/{volume_id}/unmanage',
            resource=managing.Unmanage(platform),
        ),
        Route(path='/v1/manageable', resource=managing.Manageables(platform)),
        Route(path='/v1/trash', resource=trash.Trash(platform)),
        Route(path='/v1/trash/{volume_id}', resource=trash.Trashed(platform)),
        Route(
            path='/v1/trash/{volume_id}/restore',
            resource=trash.Restore(platform),
        ),
        Route(path='/v1/snapshots', resource=snapshots.Snapshots(platform)),
        Route(
            path='/v1/snapshots/{snapshot_id}',
            resource=snapshots.Snapshot(platform),
        ),
        Route(
            path='/v1/snapshots/{snapshot_id}/revert',
            resource=snapshots.Revert(platform),
        ),
        Route(path='/v1/events', resource=events.Events(platform)),
        Route(path='/v1/events/{event_id}', resource=events.Event(platform)),
        Route(
            path='/v1/events/{event_id}/cancel',
            resource=events.Cancel(platform),
        ),
        Route(
            path='/v1/events/{event_id}/retry',
            resource=events.Retry(platform),
        ),
        Route(path='/v1/changes', resource=changes.Changes(platform)),
        Route(path='/v1/stream', resource=changes.Stream(platform)),
        Route(path='/v1/alarms', resource=alarms.Alarms(platform)),
        Route(path='/v1/alarms/{kind}/{subject}', resource=alarm),
        Route(
            path='/v1/alarms/{kind}/{subject}/acknowledge',
            resource=alarm,
            suffix='acknowledge',
        ),
        Route(
            path='/v1/alarms/{kind}/{subject}/clear',
            resource=alarm,
            suffix='clear',
        ),
        Route(path='/v1/resync', resource=resync.Resync(platform)),
        Route(path='/v1/pools', resource=estate.Pools(platform)),
        Route(path='/v1/agents', resource=estate.Agents(platform)),
        Route(
            path='/v1/agents/{agent_name}/drain',
            resource=draining,
            suffix='drain',
        ),
        Route(
            path='/v1/agents/{agent_name}/undrain',
            resource=draining,
            suffix='undrain',
        ),
        Route(path='/v1/limits', resource=estate.Limits(platform)),
    ]
