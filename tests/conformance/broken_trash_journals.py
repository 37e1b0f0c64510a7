"""Journals that break one rule of the trash or of alarms each."""

from __future__ import annotations

import dataclasses

from virtdc_agent.contract.events import Origin
from virtdc_agent.journal import alarms
from virtdc_agent.journal.memory import MemoryJournal
from virtdc_agent import model


class _Changes(MemoryJournal):
    """Settles something else than it was told."""

    def replaced(self, change):
        return change

    def settle(self, claim, outcome):
        change = self.replaced(outcome.change)
        return super().settle(
            claim, dataclasses.replace(outcome, change=change)
        )


class ForgetsTrash(_Changes):
    """Deletes what is to be kept."""

    def replaced(self, change):
        if isinstance(change, model.DiscardVolume):
            volume_id = change.trashed.volume.volume_id
            return model.RemoveVolume(volume_id=volume_id)
        return change


class KeepsInTrash(_Changes):
    """Has a restored volume in both places."""

    def replaced(self, change):
        if isinstance(change, model.RestoreVolume):
            return model.PutVolume(volume=change.volume)
        return change


class NeverPurges(_Changes):
    """Keeps the trash for ever."""

    def replaced(self, change):
        if isinstance(change, model.PurgeVolume):
            return None
        return change


class NothingIsDue(MemoryJournal):
    """Takes no notice of the time."""

    def get_trash(self, marker, limit, *, until=None):
        return super().get_trash(marker, limit)


class StampsNothing(MemoryJournal):
    """Forgets when a volume was changed."""

    def get_volume(self, volume_id):
        return dataclasses.replace(
            super().get_volume(volume_id), changed_at_sequence=0
        )


class _OfOtherOrigin(MemoryJournal):
    """Mistakes who asked for a deletion."""

    origin = Origin.CLOUD

    def settle(self, claim, outcome):
        if isinstance(
            outcome.change, model.RemoveVolume | model.DiscardVolume
        ):
            event = dataclasses.replace(claim.event, origin=self.origin)
            claim = dataclasses.replace(claim, event=event)
        return super().settle(claim, outcome)


class RaisesNothing(_OfOtherOrigin):
    """Believes that the cloud asked for every deletion."""


class RaisesAlways(_OfOtherOrigin):
    """Believes that the cloud never did."""

    origin = Origin.PLATFORM


class NeverEnds(MemoryJournal):
    """Raises an alarm again that was cleared by itself."""

    def settle(self, claim, outcome):
        before = self.get_alarms(None, 100).alarms
        settled = super().settle(claim, outcome)
        raised = {
            (one.kind, one.subject)
            for one in self.get_alarms(None, 100).alarms
        }
        for one in before:
            if (one.kind, one.subject) not in raised:
                self.raise_alarm(
                    kind=one.kind,
                    subject=one.subject,
                    severity=one.severity,
                    message=one.message,
                )
        return settled


class EachIsNews(MemoryJournal):
    """Tells of each repetition."""

    def raise_alarm(self, **content):
        number = self.get_alarms(None, 1).revision
        details = {**(content.pop('details', None) or {}), 'n': number}
        return super().raise_alarm(**content, details=details)


class NothingIsNews(MemoryJournal):
    """Keeps to what it has heard first."""

    def raise_alarm(self, **content):
        for one in self.get_alarms(None, 100).alarms:
            if (one.kind, one.subject) == (
                content['kind'],
                content['subject'],
            ):
                content |= {'message': one.message}
        return super().raise_alarm(**content)


class AcknowledgedIsOver(MemoryJournal):
    """Clears what somebody has seen."""

    def acknowledge_alarm(self, kind, subject, by, comment):
        seen = super().acknowledge_alarm(kind, subject, by, comment)
        super().clear_alarm(kind, subject)
        return seen


class BeginsAnew(MemoryJournal):
    """Forgets an alarm that is cleared."""

    def clear_alarm(self, kind, subject):
        was = super().clear_alarm(kind, subject)
        self._writer.run(_Forget(kind, subject))
        return was


class _Forget(alarms.ClearAlarm):
    def apply(self, tx):
        tx.connection.execute(alarms.ALARMS.delete())
        return True


class LastPageOnly(MemoryJournal):
    """Has no second page."""

    def get_alarms(self, marker, limit):
        return dataclasses.replace(
            super().get_alarms(marker, limit), next_marker=None
        )


class NobodyScans(MemoryJournal):
    """Gives the role to nobody."""

    def become_scanner(self):
        return False


class EditsCopy(MemoryJournal):
    """Has the quick in the lane of copies."""

    def claim(self, lane, limit):
        taken = super().claim(lane, limit)
        return taken or super().claim('quick', 0) or self._again(lane)

    def _again(self, lane):
        return [object()] if lane == 'copy' else []
