"""What a journal must hold of the trash, and of alarms.

As ``journal``; it can be run with one agent.
"""

from __future__ import annotations

import dataclasses
import datetime

from virtdc_agent.conformance import journal
from virtdc_agent.conformance.journal_snapshots import event_of
from virtdc_agent.contract.alarms import AlarmChange
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract import catalogue
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Origin
from virtdc_agent import exceptions
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

KIND = catalogue.EVENT_LOST.kind
DELETED = catalogue.VOLUME_DELETED.kind


class TrashRules(journal.JournalCase):
    """The rules. Not run by itself: what it needs is for subclasses."""

    def do(
        self,
        volume_id: str,
        parameters: events.Parameters,
        change: model.VolumeChange | None,
        origin: Origin = Origin.PLATFORM,
    ) -> model.Claim:
        """Append an event, claim it, and end it with a change."""
        event = event_of(f'e{next(self._ids)}', volume_id, parameters)
        self.journal.append(dataclasses.replace(event, origin=origin))
        (claim,) = self.claim(1)
        self.journal.settle(
            claim, model.Outcome(state=events.State.SUCCESS, change=change)
        )
        return claim

    def make(self, volume_id: str, *hosts: str) -> events.Volume:
        """Have a volume of the cloud's."""
        volume = dataclasses.replace(
            journal.put(volume_id).volume, attached_to=hosts
        )
        self.do(
            volume_id,
            events.CreateParameters(size_bytes=journal.GIB),
            model.PutVolume(volume=volume),
            Origin.CLOUD,
        )
        return self.journal.get_volume(volume_id)

    def discard(self, volume_id: str, days: int = 1) -> events.TrashedVolume:
        """Have a volume in the trash."""
        trashed = events.TrashedVolume(
            volume=self.journal.get_volume(volume_id),
            deleted_at=journal.NOW,
            until=journal.NOW + datetime.timedelta(days=days),
            event_id='whichever',
            deleted_by=events.Requester(user_id='u'),
            origin=Origin.PLATFORM,
        )
        self.do(
            volume_id,
            events.DeleteParameters(),
            model.DiscardVolume(trashed=trashed),
        )
        return trashed

    def raised(self) -> list[tuple[str, str, int]]:
        """Return what is raised: kinds, subjects, counts."""
        page = self.journal.get_alarms(None, 1000)
        return [(one.kind, one.subject, one.count) for one in page.alarms]

    def raise_one(
        self, subject: str, message: str = 'It is so.'
    ) -> model.AlarmNews:
        """Raise an alarm from outside."""
        return self.journal.raise_alarm(
            kind=KIND,
            subject=subject,
            severity=Severity.MINOR,
            message=message,
            details={'a': [1]},
        )

    # The trash.

    def test_what_is_discarded_is_in_the_trash_alone(self) -> None:
        """With its record, whole; its bytes are counted as before."""
        self.make('v')
        trashed = self.discard('v')
        self.assertEqual(trashed, self.journal.get_trashed('v'))
        with self.assertRaises(exceptions.VolumeNotFound):
            self.journal.get_volume('v')
        counts = self.journal.count()
        self.assertEqual(
            (0, journal.GIB), (counts.volumes, counts.provisioned_bytes)
        )

    def test_what_is_restored_is_a_volume_again(self) -> None:
        """And not in the trash any more."""
        volume = self.make('v')
        self.discard('v')
        claim = self.do(
            'v',
            events.RestoreParameters(),
            model.RestoreVolume(volume=volume),
        )
        self.assertEqual('v', self.journal.get_volume('v').volume_id)
        if claim.trashed is None:
            raise AssertionError('who restores it was not told of it')
        self.assertEqual(volume, claim.trashed.volume)
        with self.assertRaises(exceptions.VolumeNotFound):
            self.journal.get_trashed('v')
        self.assertEqual(journal.GIB, self.journal.count().provisioned_bytes)

    def test_what_is_purged_counts_no_more(self) -> None:
        """By itself, or as its volume is deleted for good."""
        changes: tuple[model.VolumeChange, ...] = (
            model.PurgeVolume(volume_id='v'),
            model.RemoveVolume(volume_id='v', is_purged=True),
        )
        for number, change in enumerate(changes):
            self.make('v')
            self.discard('v')
            self.do('v', events.PurgeParameters(), change)
            self.assertEqual(0, self.journal.count().provisioned_bytes, number)
            self.assertEqual([], list(self.journal.get_trash(None, 9).trashed))

    def test_trash_in_pages_and_by_time(self) -> None:
        """In order of their ids, none twice; or only what is due."""
        for number in range(5):
            self.make(f'v{number}')
            self.discard(f'v{number}', days=1 + number)
        marker, found = None, []
        while True:
            page = self.journal.get_trash(marker, 2)
            found += [one.volume.volume_id for one in page.trashed]
            marker = page.next_marker
            if marker is None:
                break
        self.assertEqual([f'v{number}' for number in range(5)], found)
        due = self.journal.get_trash(
            None, 9, until=journal.NOW + datetime.timedelta(days=2)
        )
        self.assertEqual(
            ['v0', 'v1'], [one.volume.volume_id for one in due.trashed]
        )

    # Who changed it.

    def test_a_change_is_stamped_with_its_end(self) -> None:
        """With the sequence that ended it, and the side that asked."""
        volume = self.make('v')
        self.assertEqual(
            (Origin.CLOUD, self.journal.count().sequence),
            (volume.changed_by, volume.changed_at_sequence),
        )
        edited = dataclasses.replace(volume, name='x')
        self.do(
            'v',
            events.EditParameters(name='x'),
            model.PutVolume(volume=edited),
        )
        found = self.journal.get_volume('v')
        self.assertEqual(
            (Origin.PLATFORM, self.journal.count().sequence),
            (found.changed_by, found.changed_at_sequence),
        )
        attached = dataclasses.replace(found, attached_to=('h',))
        self.do(
            'v',
            events.ConnectParameters(host='h'),
            model.PutVolume(volume=attached),
            Origin.CLOUD,
        )
        self.assertEqual(attached, self.journal.get_volume('v'))

    # The alarm of a deletion.

    def test_a_deletion_here_raises_an_alarm_with_its_end(self) -> None:
        """Once, however often it is settled; the worse if it was in use."""
        self.make('v')
        self.make('w', 'host')
        for volume_id, severity in (
            ('v', Severity.MAJOR),
            ('w', Severity.CRITICAL),
        ):
            claim = self.do(
                volume_id,
                events.DeleteParameters(force=True),
                model.RemoveVolume(volume_id=volume_id),
            )
            self.journal.settle(claim, journal.SUCCESS)
            alarm = self.journal.get_alarm(DELETED, volume_id)
            self.assertIs(severity, alarm.severity)
            self.assertEqual(claim.event.event_id, alarm.details['event_id'])
        self.assertEqual([(DELETED, 'v', 1), (DELETED, 'w', 1)], self.raised())

    def test_a_deletion_by_the_cloud_raises_none(self) -> None:
        """And ends the one that was raised."""
        self.make('v')
        self.discard('v')
        self.assertEqual([(DELETED, 'v', 1)], self.raised())
        self.do(
            'v',
            events.DeleteParameters(),
            model.RemoveVolume(volume_id='v', is_purged=True),
            Origin.CLOUD,
        )
        self.assertEqual([], self.raised())

    def test_a_volume_that_is_there_again_ends_its_alarm(self) -> None:
        """Restored, or made anew."""
        for _ in range(2):
            volume = self.make('v')
            self.discard('v')
            self.assertEqual(1, len(self.raised()))
            self.do(
                'v',
                events.RestoreParameters(),
                model.RestoreVolume(volume=volume),
            )
            self.assertEqual([], self.raised())
            self.discard('v')
            self.make('v')
            self.assertEqual([], self.raised())
            self.do(
                'v',
                events.DeleteParameters(),
                model.RemoveVolume(volume_id='v', is_purged=True),
                Origin.CLOUD,
            )

    # Alarms.

    def test_ten_thousand_times_the_same_is_one_alarm(self) -> None:
        """It is counted, and its revision stands still."""
        first = self.raise_one('v')
        self.assertIs(AlarmChange.RAISED, first.change)
        for _ in range(50):
            self.assertIsNone(self.raise_one('v').change)
        alarm = self.journal.get_alarm(KIND, 'v')
        self.assertEqual(51, alarm.count)
        self.assertEqual(first.alarm.revision, alarm.revision)
        self.assertEqual({'a': [1]}, alarm.details)
        self.assertEqual(
            [alarm.revision],
            [one.revision for one in self.journal.get_alarm_notices(0, 9)],
        )

    def test_other_content_is_news(self) -> None:
        """Nobody has seen it yet, and its revision has grown."""
        first = self.raise_one('v').alarm
        self.journal.acknowledge_alarm(KIND, 'v', 'bob', 'seen')
        news = self.raise_one('v', 'It is worse.')
        self.assertIs(AlarmChange.CHANGED, news.change)
        self.assertEqual('', news.alarm.acknowledged_by)
        self.assertGreater(news.alarm.revision, first.revision)

    def test_acknowledged_is_raised_still(self) -> None:
        """By whom, when, why; the same again is no news."""
        self.raise_one('v')
        alarm = self.journal.acknowledge_alarm(KIND, 'v', 'bob', 'seen')
        self.assertEqual(
            ('bob', 'seen'), (alarm.acknowledged_by, alarm.comment)
        )
        self.assertIsNotNone(alarm.acknowledged_at)
        again = self.journal.acknowledge_alarm(KIND, 'v', 'bob', 'seen')
        self.assertEqual(alarm, again)
        self.assertIsNone(self.raise_one('v').change)
        found = self.journal.get_alarm(KIND, 'v')
        self.assertEqual('bob', found.acknowledged_by)

    def test_cleared_is_gone_and_its_revision_goes_on(self) -> None:
        """It can be told, and is another one when it is raised again."""
        first = self.raise_one('v').alarm
        self.assertTrue(self.journal.clear_alarm(KIND, 'v'))
        self.assertFalse(self.journal.clear_alarm(KIND, 'v'))
        self.assertEqual([], self.raised())
        with self.assertRaises(exceptions.AlarmNotFound):
            self.journal.get_alarm(KIND, 'v')
        with self.assertRaises(exceptions.AlarmNotFound):
            self.journal.acknowledge_alarm(KIND, 'v', 'bob', '')
        (notice,) = self.journal.get_alarm_notices(first.revision, 9)
        self.assertIs(AlarmChange.CLEARED, notice.change)
        again = self.raise_one('v')
        self.assertIs(AlarmChange.RAISED, again.change)
        self.assertEqual(1, again.alarm.count)
        self.assertGreater(again.alarm.revision, notice.revision)

    def test_alarms_in_pages(self) -> None:
        """In order of kind and subject, none twice."""
        for number in range(5):
            self.raise_one(f'v{number}')
        marker, found = None, []
        while True:
            page = self.journal.get_alarms(marker, 2)
            found += [one.subject for one in page.alarms]
            marker = page.next_marker
            if marker is None:
                break
        self.assertEqual([f'v{number}' for number in range(5)], found)
        self.assertEqual(
            max(one.revision for one in page.alarms), page.revision
        )

    def test_one_agent_scans(self) -> None:
        """Until it has left."""
        self.assertTrue(self.journal.become_scanner())
        self.assertTrue(self.journal.become_scanner())
        self.journal.leave()
        again = self.open('agent')
        again.join()
        self.assertTrue(again.become_scanner())

    def test_lanes(self) -> None:
        """All of it is quick: no bytes are copied."""
        self.make('v')
        for parameters in (
            events.EditParameters(name='x'),
            events.RestoreParameters(),
            events.PurgeParameters(),
        ):
            self.do('v', parameters, None)
        self.assertEqual([], list(self.journal.claim(Lane.COPY, 9)))
