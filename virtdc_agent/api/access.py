"""Answers a resource's questions: who asks, may they, is it there for them.

What is of another project is not there: the answer is the same as for what
has never been, so that nobody learns of others' things by asking.
"""

from __future__ import annotations

import re

import falcon

from virtdc_agent.api import callers
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import problems
from virtdc_agent.contract import events
from virtdc_agent.contract.fields import IDENTIFIER
from virtdc_agent import model


def caller_of(req: falcon.Request) -> callers.Caller:
    """Return who asks."""
    caller = req.context.caller
    if not isinstance(caller, callers.Caller):
        raise AssertionError('nobody was authenticated')
    return caller


class Access:
    """One request's rights.

    :raises Problem: from ``allow`` and all that find something.
    """

    def __init__(self, platform: Platform, req: falcon.Request) -> None:
        self._platform = platform
        self.caller = caller_of(req)

    def allow(self, rule: str, project_id: str | None = None) -> None:
        """Refuse what a rule does not allow.

        :param project_id: whose thing it is; default: the caller's.
        """
        if not self.allows(rule, project_id):
            raise problems.forbidden(rule)

    def project_of(self, former: events.Event, rule: str) -> str:
        """Return whose event an earlier request has made.

        :raises Problem: a rule does not allow to ask for it again.
        """
        project_id = former.requested_by.project_id
        self.allow(rule, project_id)
        return project_id

    def allows(self, rule: str, project_id: str | None = None) -> bool:
        """Say what a rule allows."""
        if project_id is None:
            project_id = self.caller.project_id or ''
        return self._platform.authorizer.allows(self.caller, rule, project_id)

    def scope(self, kind: str, wanted: str | None) -> str | None:
        """Return the project whose things may be listed; ``None``: of all.

        :param kind: as ``volumes``, whose ``list`` and ``list_all`` are
            asked.
        :param wanted: the project that was asked for.
        """
        if self.allows(f'{kind}:list_all'):
            return wanted
        self.allow(f'{kind}:list')
        own = self.caller.project_id or ''
        if wanted is not None and wanted != own:
            raise problems.forbidden(f'{kind}:list_all')
        return own

    def volume(self, volume_id: str, rule: str) -> events.Volume:
        """Return a volume that may be seen and that a rule is about."""
        check_name('volume', volume_id)
        volume = self._platform.journal.get_volume(volume_id)
        self._judge(
            ('volume', volume_id), 'volumes:show', rule, volume.project_id
        )
        return volume

    def trashed(self, volume_id: str, rule: str) -> events.TrashedVolume:
        """Return a volume in the trash, likewise."""
        check_name('volume', volume_id)
        trashed = self._platform.journal.get_trashed(volume_id)
        self._judge(
            ('volume', volume_id),
            *('trash:list', rule, trashed.volume.project_id),
        )
        return trashed

    def snapshot(self, snapshot_id: str, rule: str) -> events.Snapshot:
        """Return a snapshot, likewise."""
        check_name('snapshot', snapshot_id)
        snapshot = self._platform.keeping.get_snapshot(snapshot_id)
        self._judge(
            ('snapshot', snapshot_id),
            *('snapshots:show', rule, snapshot.project_id),
        )
        return snapshot

    def record(self, event_id: str, rule: str) -> model.Record:
        """Return an event, likewise."""
        check_name('event', event_id)
        record = self._platform.keeping.get_record(event_id)
        self._judge(
            ('event', event_id),
            *('events:show', rule, record.event.requested_by.project_id),
        )
        return record

    def _judge(
        self, thing: tuple[str, str], seeing: str, rule: str, project_id: str
    ) -> None:
        if not self.allows(seeing, project_id):
            if project_id == (self.caller.project_id or ''):
                raise problems.forbidden(seeing)
            raise problems.not_found(*thing)
        self.allow(rule, project_id)


def check_name(kind: str, name: str) -> None:
    """Refuse what nothing can be called."""
    if not re.fullmatch(IDENTIFIER, name):
        raise problems.not_found(kind, name[:64])
