"""Other sides of journals that list wrongly: each breaks a rule or two."""

from __future__ import annotations

import dataclasses

from virtdc_agent import exceptions
from virtdc_agent.journal.keeping import SqlKeeping
from virtdc_agent import model


class AsksOtherwise(SqlKeeping):
    """Asks for volumes with something changed in the question."""

    changes: dict[str, object] = {}

    def get_volume_page(self, query):
        return super().get_volume_page(
            dataclasses.replace(query, **self.changes)
        )


class SortsById(AsksOtherwise):
    changes = {'sort': model.VolumeSort.ID}

    def get_volume_page(self, query):
        if query.marker is not None:
            place = model.Place(
                value=query.marker.volume_id, volume_id=query.marker.volume_id
            )
            query = dataclasses.replace(query, marker=place)
        return super().get_volume_page(query)


class OnlyUp(AsksOtherwise):
    changes = {'descending': False}


class OfAllProjects(AsksOtherwise):
    changes = {'project_id': None}


class OfAllNames(AsksOtherwise):
    changes = {'name': None}


class NoProjectIsAny(SqlKeeping):
    """Takes an empty project for none asked for."""

    def get_volume_page(self, query):
        return super().get_volume_page(
            dataclasses.replace(query, project_id=query.project_id or None)
        )


class SearchesByPatterns(SqlKeeping):
    """Lets some characters stand for others."""

    def get_volume_page(self, query):
        if query.search in ('%', '_'):
            query = dataclasses.replace(query, search=None)
        return super().get_volume_page(query)


class MarkersDie(SqlKeeping):
    """Begins anew when the volume of a marker is gone."""

    def get_volume_page(self, query):
        if query.marker is not None:
            last = model.VolumeQuery(search=query.marker.volume_id)
            if not super().get_volume_page(last).volumes:
                query = dataclasses.replace(query, marker=None)
        return super().get_volume_page(query)


class EndsTooSoon(SqlKeeping):
    """Says after a page that there is no more."""

    def get_volume_page(self, query):
        return dataclasses.replace(
            super().get_volume_page(query), next_marker=None
        )

    def get_snapshot_page(self, query):
        return dataclasses.replace(
            super().get_snapshot_page(query), next_marker=None
        )

    def get_records(self, query):
        return dataclasses.replace(
            super().get_records(query), next_marker=None
        )


class InventsSnapshots(SqlKeeping):
    """Has something to say of every id."""

    def get_snapshot(self, snapshot_id):
        try:
            return super().get_snapshot(snapshot_id)
        except exceptions.SnapshotNotFound:
            return None


class SnapshotsOfAllVolumes(SqlKeeping):
    def get_snapshot_page(self, query):
        return super().get_snapshot_page(
            dataclasses.replace(query, volume_id=None)
        )


class SnapshotsOfAllProjects(SqlKeeping):
    def get_snapshot_page(self, query):
        return super().get_snapshot_page(
            dataclasses.replace(query, project_id=None)
        )


class EventsUnfiltered(SqlKeeping):
    """Shows everybody everything."""

    def get_records(self, query):
        return super().get_records(
            model.RecordQuery(marker=query.marker, limit=query.limit)
        )


class CountsItself(SqlKeeping):
    """Has each wait for itself."""

    def count_ahead(self, event_id, most):
        ahead = super().count_ahead(event_id, most)
        return ahead if ahead is None else ahead + 1


class CountsToTheEnd(SqlKeeping):
    """Counts however many there are."""

    def count_ahead(self, event_id, most):
        return super().count_ahead(event_id, 10**6)


class EverybodyWaits(SqlKeeping):
    """Finds what runs at the head of the line."""

    def count_ahead(self, event_id, most):
        return super().count_ahead(event_id, most) or 0
