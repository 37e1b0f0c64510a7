"""What the pages ask of the data centre, with the user's own rights."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

from cinder_virtdc.rest_client import ApiError
from cinder_virtdc.rest_client import Client
from cinder_virtdc.rest_client import Page
from cinder_virtdc.rest_client import path_of

View = Mapping[str, Any]

MOST = 1000
"""As many as one request can bring."""
_FEW = 3


class DataCentre:
    """One data centre, for the length of one request. Not for threads.

    If it has not answered once, it is not asked again: a page waits for one
    that is silent no longer than one timeout.

    :raises ApiError: from every call.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._silence: ApiError | None = None
        self._may: Collection[str] | None = None

    @property
    def may(self) -> Collection[str]:
        """The rules that allow something to the user."""
        if self._may is None:
            self._may = frozenset(self._get('/me')['may'])
        return self._may

    def events(self, query: View, *, limit: int, marker: str | None) -> Page:
        """Return a page of events, newest first."""
        answer = self._get(
            '/events', {**query, 'limit': limit, 'marker': marker}
        )
        return Page(items=answer['events'], marker=answer['next_marker'])

    def event(self, event_id: str) -> View:
        """Return an event with its history."""
        found: View = self._get(path_of('events', event_id))
        return found

    def cancel(self, event_id: str) -> None:
        """Have an event withdrawn."""
        self._post(path_of('events', event_id, 'cancel'))

    def retry(self, event_id: str) -> str:
        """Ask again for what has failed; return the new event's id."""
        return str(
            self._post(path_of('events', event_id, 'retry'))['event_id']
        )

    def volumes(
        self, volume_ids: Collection[str], project_id: str | None
    ) -> Mapping[str, View]:
        """Return those that there are, by id, and maybe others.

        :param project_id: whose they are; ``None``: anybody's.
        """
        if len(volume_ids) <= _FEW:
            return {
                volume_id: found
                for volume_id in volume_ids
                if (found := self._volume(volume_id)) is not None
            }
        # One request instead of many; of the others only the id is known.
        answer = self._get(
            '/volumes', {'project_id': project_id, 'limit': MOST}
        )
        return {str(one['volume_id']): one for one in answer['volumes']}

    def volume_called(self, name: str, project_id: str | None) -> str | None:
        """Return the id of the one volume of a name; ``None``: there is none.

        :raises ApiError: several are called so; says their ids.
        """
        answer = self._get(
            '/volumes', {'name': name, 'project_id': project_id, 'limit': 10}
        )
        found = [str(one['volume_id']) for one in answer['volumes']]
        if len(found) > 1:
            raise ApiError(
                f'Several volumes are called {name}; say which by its id: '
                f'{", ".join(found)}.'
            )
        return found[0] if found else None

    def alarms(self, subject: str | None = None) -> list[View]:
        """Return the alarms that are raised.

        :param subject: only those of a volume.
        """
        answer = self._get('/alarms', {'limit': MOST})
        return [
            one
            for one in answer['alarms']
            if subject is None or one['subject'] == subject
        ]

    def alarm(self, kind: str, subject: str) -> View:
        """Return an alarm that is raised."""
        found: View = self._get(path_of('alarms', kind, subject))
        return found

    def acknowledge(self, kind: str, subject: str, comment: str) -> None:
        """Note that an alarm was seen."""
        self._post(
            path_of('alarms', kind, subject, 'acknowledge'),
            {'comment': comment},
        )

    def _volume(self, volume_id: str) -> View | None:
        try:
            found: View = self._get(path_of('volumes', volume_id))
        except ApiError as exc:
            if exc.status in (403, 404):
                return None
            raise
        return found

    def _get(self, path: str, query: View | None = None) -> Any:
        return self._unless_silent(lambda: self._client.get(path, query))

    def _post(self, path: str, body: View | None = None) -> Any:
        return self._unless_silent(lambda: self._client.post(path, body))

    def _unless_silent(self, ask: Any) -> Any:
        if self._silence is not None:
            raise self._silence
        try:
            return ask()
        except ApiError as exc:
            if exc.status is None:
                self._silence = exc
            raise
