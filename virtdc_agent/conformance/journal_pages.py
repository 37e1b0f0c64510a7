"""What the journal's other side must hold of lists and places in line.

For the test suite of any ``interfaces.JournalKeeping``. Beside the journal, a
test says how its other side is opened::

    class TestMine(journal_pages.PageRules, unittest.TestCase):
        def open_keeping(self, storage):
            return MyKeeping(storage)
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import datetime
from typing import Any
import unittest

from virtdc_agent.conformance import journal
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.model import VolumeSort
from virtdc_agent.scheduling import Lane

_PLACE_OF: Mapping[VolumeSort, Callable[[events.Volume], Any]] = {
    VolumeSort.ID: lambda volume: volume.volume_id,
    VolumeSort.NAME: lambda volume: volume.name,
    VolumeSort.SIZE: lambda volume: volume.size_bytes,
    VolumeSort.CREATED: lambda volume: volume.created_at,
}
_PAGE = 2


class PageRules(journal.JournalCase):
    """The rules. Not run by itself: what it needs is for subclasses."""

    def open_keeping(self, storage: Any) -> interfaces.JournalKeeping:
        """Return the other side of the journal in a storage."""
        raise unittest.SkipTest('the rules are run by subclasses')

    def setUp(self) -> None:
        """Open the other side, too."""
        super().setUp()
        self.keeping = self.open_keeping(self.storage)

    def put(self, volume_id: str, **values: Any) -> events.Volume:
        """Have a volume that is like this."""
        change = journal.put(volume_id)
        volume = dataclasses.replace(change.volume, **values)
        self.journal.settle(
            self.claim_one(volume_id),
            model.Outcome(
                state=State.SUCCESS, change=model.PutVolume(volume=volume)
            ),
        )
        return self.journal.get_volume(volume_id)

    def put_snapshot(
        self, snapshot_id: str, volume_id: str, project_id: str = ''
    ) -> events.Snapshot:
        """Have a snapshot that is like this."""
        snapshot = events.Snapshot(
            snapshot_id=snapshot_id,
            volume_id=volume_id,
            size_bytes=journal.GIB,
            format=events.Format.RAW,
            created_at=journal.NOW,
            project_id=project_id,
        )
        self.journal.settle(
            self.claim_one(volume_id),
            model.Outcome(
                state=State.SUCCESS,
                change=model.PutSnapshot(snapshot=snapshot),
            ),
        )
        return snapshot

    def volumes(self, **query: Any) -> Iterator[Sequence[events.Volume]]:
        """Yield the pages that a question leads to."""
        wanted = model.VolumeQuery(limit=_PAGE, **query)
        while True:
            page = self.keeping.get_volume_page(wanted)
            self.assertLessEqual(len(page.volumes), _PAGE)
            yield page.volumes
            if page.next_marker is None:
                return
            wanted = dataclasses.replace(wanted, marker=page.next_marker)

    def found(self, **query: Any) -> list[str]:
        """Return the ids of all that a question leads to."""
        pages = self.volumes(**query)
        return [one.volume_id for page in pages for one in page]

    def test_volumes_in_every_order(self) -> None:
        """Page by page, up and down; what is equal goes by its id."""
        made = [
            self.put(
                volume_id,
                name=name,
                size_bytes=size_bytes,
                created_at=journal.NOW + datetime.timedelta(seconds=second),
            )
            for volume_id, name, size_bytes, second in (
                ('d', 'one', 3, 0),
                ('a', 'two', 3, 1),
                ('c', '', 1, 3),
                ('b', 'one', 3, 2),
                ('e', 'One', 2**40, 0),
            )
        ]
        for sort, place in _PLACE_OF.items():
            for descending in (False, True):
                wanted = sorted(
                    made,
                    key=lambda one: (place(one), one.volume_id),
                    reverse=descending,
                )
                pages = list(self.volumes(sort=sort, descending=descending))
                self.assertEqual([2, 2, 1], [len(page) for page in pages])
                self.assertEqual(
                    wanted, [one for page in pages for one in page], sort
                )

    def test_volumes_of_a_project_or_a_name(self) -> None:
        """An empty project is one, too: of those of none."""
        self.put('a', project_id='p', name='data')
        self.put('b', project_id='q', name='data')
        self.put('c', name='datas')
        for query, expected in (
            ({}, ['a', 'b', 'c']),
            ({'project_id': 'p'}, ['a']),
            ({'project_id': ''}, ['c']),
            ({'name': 'data'}, ['a', 'b']),
            ({'name': 'data', 'project_id': 'q'}, ['b']),
            ({'name': 'dat'}, []),
            ({'project_id': 'r'}, []),
        ):
            self.assertEqual(expected, self.found(**query), query)

    def test_volumes_by_a_part_of_the_name(self) -> None:
        """Or by how their id begins; no character means others."""
        self.put('abc', name='100% sure')
        self.put('bcd', name='under_score')
        self.put('cde', name='plain')
        for search, expected in (
            ('sure', ['abc']),
            ('%', ['abc']),
            ('_', ['bcd']),
            ('bc', ['bcd']),
            ('c', ['bcd', 'cde']),
            ('\\', []),
        ):
            self.assertEqual(expected, self.found(search=search), search)

    def test_a_page_goes_on_though_its_last_volume_is_gone(self) -> None:
        """A marker is a place, not a volume."""
        for volume_id in 'abcd':
            self.put(volume_id)
        pages = self.volumes()
        next(pages)
        self.journal.settle(
            self.claim_one('b'),
            model.Outcome(
                state=State.SUCCESS, change=model.RemoveVolume(volume_id='b')
            ),
        )
        rest = [one.volume_id for page in pages for one in page]
        self.assertEqual(['c', 'd'], rest)

    def test_a_snapshot(self) -> None:
        """It is told as it was put; one that is not there is an error."""
        made = self.put_snapshot('s', 'v', 'p')
        self.assertEqual(made, self.keeping.get_snapshot('s'))
        with self.assertRaises(exceptions.SnapshotNotFound):
            self.keeping.get_snapshot('v')

    def test_snapshots_in_pages(self) -> None:
        """By id; of all, of a volume, of a project."""
        for snapshot_id, volume_id, project_id in (
            ('c', 'v', 'p'),
            ('a', 'w', 'p'),
            ('b', 'v', ''),
            ('d', 'v', 'p'),
        ):
            self.put_snapshot(snapshot_id, volume_id, project_id)
        for query, expected in (
            ({}, 'abcd'),
            ({'volume_id': 'v'}, 'bcd'),
            ({'project_id': 'p'}, 'acd'),
            ({'project_id': ''}, 'b'),
            ({'volume_id': 'v', 'project_id': 'p'}, 'cd'),
        ):
            marker, seen = None, ''
            while True:
                page = self.keeping.get_snapshot_page(
                    model.SnapshotQuery(marker=marker, limit=_PAGE, **query)
                )
                self.assertLessEqual(len(page.snapshots), _PAGE)
                seen += ''.join(one.snapshot_id for one in page.snapshots)
                marker = page.next_marker
                if marker is None:
                    break
            self.assertEqual(expected, seen, query)

    def test_events_in_pages(self) -> None:
        """Newest first; each filter leaves out the others."""
        for name, project, origin in (
            ('a', 'p', Origin.CLOUD),
            ('b', 'p', Origin.PLATFORM),
            ('c', 'q', Origin.CLOUD),
        ):
            self.journal.append(
                journal.create_event(
                    name, f'v{name}', project=project, origin=origin
                )
            )
        self.journal.append(
            dataclasses.replace(
                journal.create_event('d', 'va', project='p'),
                operation=Operation.DELETE,
                parameters=events.DeleteParameters(),
            )
        )
        (claim,) = self.claim(1)
        self.journal.settle(claim, journal.SUCCESS)
        ended = claim.event.event_id
        for query, expected in (
            ({}, 'dcba'),
            ({'states': [State.SUCCESS]}, ended),
            ({'states': [State.SUCCESS, State.WAITING]}, 'dcba'),
            ({'operations': [Operation.DELETE]}, 'd'),
            ({'volume_id': 'va'}, 'da'),
            ({'project_id': 'p'}, 'dba'),
            ({'origin': Origin.PLATFORM}, 'b'),
            ({'project_id': 'p', 'volume_id': 'vc'}, ''),
        ):
            marker, seen = None, ''
            while True:
                page = self.keeping.get_records(
                    model.RecordQuery(marker=marker, limit=_PAGE, **query)
                )
                self.assertLessEqual(len(page.records), _PAGE)
                seen += ''.join(one.event.event_id for one in page.records)
                marker = page.next_marker
                if marker is None:
                    break
            self.assertEqual(expected, seen, query)

    def test_places_in_line(self) -> None:
        """How many are likely begun before, of one's own lane."""
        made = self.append(*'abcdef')
        self.journal.append(journal.create_event('thick', 'g', thick=True))
        (claim,) = self.claim(1)
        self.assertEqual(made[0], claim.event)
        for number, event in enumerate(made[1:]):
            self.assertEqual(
                min(number, 3), self.keeping.count_ahead(event.event_id, 3)
            )
        self.assertEqual(0, self.keeping.count_ahead('thick', 3))
        self.assertIsNone(self.keeping.count_ahead(made[0].event_id, 3))
        self.journal.settle(claim, journal.SUCCESS)
        self.assertIsNone(self.keeping.count_ahead(made[0].event_id, 3))
        (claim,) = self.journal.claim(Lane.COPY, 1)
        self.assertEqual('thick', claim.event.event_id)
        with self.assertRaises(exceptions.EventNotFound):
            self.keeping.count_ahead('nix', 3)
