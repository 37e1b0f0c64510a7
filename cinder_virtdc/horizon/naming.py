"""What people, volumes and moments are called on the pages.

Pure functions of what the REST API tells; nothing here is HTML, so nothing
here needs escaping.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
import re
from typing import Any

from cinder_virtdc import wording
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State

View = Mapping[str, Any]
_REMOVING = frozenset({Operation.DELETE, Operation.UNMANAGE})
_LONG_ID = re.compile('[0-9a-f]{32}|[0-9a-f-]{36}')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks at a page.

    :param names: of the users whose names may be shown, by their ids.
    :param may: the rules of the data centre that allow something to them.
    """

    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    may: Collection[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A volume, as a page calls it.

    :param is_in_cloud: the cloud has a page of it.
    """

    volume_id: str
    name: str = ''
    is_in_cloud: bool = False

    @property
    def shown(self) -> str:
        """Its name, or as much of its id as people read."""
        return wording.printable(self.name) or shortened(self.volume_id)


def names_of(
    views: Sequence[View], volumes: Mapping[str, View]
) -> Mapping[str, Named]:
    """Return what the volumes of events are called, by id.

    :param views: the events, newest first: they tell of what is not there.
    :param volumes: those that the data centre has, by id.
    """
    events: dict[str, list[View]] = {}
    for view in views:
        events.setdefault(str(view['volume_id']), []).append(view)
    return {
        volume_id: (
            Named(
                volume_id=volume_id,
                name=str(volumes[volume_id]['name']),
                is_in_cloud=volumes[volume_id]['origin'] == Origin.CLOUD,
            )
            if volume_id in volumes
            else _absent(volume_id, its)
        )
        for volume_id, its in events.items()
    }


def _absent(volume_id: str, its: Sequence[View]) -> Named:
    names = [(one.get('parameters') or {}).get('name') for one in its]
    of_cloud = [one for one in its if one['origin'] == Origin.CLOUD]
    return Named(
        volume_id=volume_id,
        name=str(next(filter(None, names), '')),
        # What the data centre has lost, the cloud still has.
        is_in_cloud=bool(of_cloud)
        and not any(
            one['operation'] in _REMOVING and one['state'] == State.SUCCESS
            for one in of_cloud
        ),
    )


def age(text: str, now: datetime.datetime) -> str:
    """Say how long ago something was, to the minute at best."""
    seconds = (now - datetime.datetime.fromisoformat(text)).total_seconds()
    for length, unit in ((86400, 'd'), (3600, 'h'), (60, 'min')):
        if seconds >= length:
            return f'{int(seconds // length)} {unit}'
    return 'just now'


def who(requester: View, viewer: Viewer, *, is_short: bool = True) -> str:
    """Say who has asked for something; empty: nobody knows."""
    user_id = wording.printable(str(requester.get('user_id') or ''))
    name = wording.printable(viewer.names.get(user_id, ''))
    if name:
        return name
    return shortened(user_id) if is_short else user_id


def users_of(views: Sequence[View]) -> set[str]:
    """Return the ids of the users whom events and alarms are about.

    What looks unlike an id is a name already, of the data centre's own.
    """
    found = {
        str(said.get(key) or '')
        for view in views
        for said, key in (
            (view.get('requested_by') or {}, 'user_id'),
            (
                (view.get('details') or {}).get('requested_by') or {},
                'user_id',
            ),
            (view, 'acknowledged_by'),
        )
    }
    return {one for one in found if _LONG_ID.fullmatch(one)}


def shortened(text: str) -> str:
    """Return of an id as much as tells it from others."""
    return f'{text[:8]}…' if _LONG_ID.fullmatch(text) else text
