"""Carries out what was decided about a volume, through the two APIs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import datetime
import logging
import uuid

from cinder_virtdc.bus.client import AgentClient
from cinder_virtdc.cloud.interfaces import Cloud
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.remedies import Remedies
from cinder_virtdc.sync import edits
from cinder_virtdc.sync import properties
from cinder_virtdc.sync import reconcile
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.rpc import ErrorCode

LOG = logging.getLogger(__name__)

_NAMESPACE = uuid.UUID('5a3c2f0e-6f6d-5d1b-9f0e-3b7c1a9d2e48')
"""Of the ids of our events, which are the same from every listener."""


class Hands:
    """Does one thing at a time to one volume; each may be done twice.

    Safe from any thread, not for one volume at once.

    :param show: takes what a volume is to show; see ``Writer.show``.
    :param now: the time of the day.
    :raises VirtDCError: from ``do``: it could not be done now. What came
        before it in its list is done.
    """

    def __init__(
        self,
        cloud: Cloud,
        client: AgentClient,
        *,
        show: Callable[[Transition, tuple[str, ...], Mapping[str, str]], None],
        now: Callable[[], datetime.datetime],
    ) -> None:
        self._cloud = cloud
        self._client = client
        self._remedies = Remedies(cloud, client)
        self._show = show
        self._now = now

    def do(self, volume: CloudVolume, action: reconcile.Action) -> None:
        """Carry out an action on a volume that was just looked at."""
        match action:
            case reconcile.Show():
                self._show(action.transition, action.outdated, action.more)
            case reconcile.MakeAvailable():
                self._cloud.make_available(action.volume_id)
                LOG.info(
                    'Volume %s was in error in Cinder, but the data centre '
                    'has made it: it is available now.',
                    action.volume_id,
                )
            case reconcile.Hold():
                self._hold(action)
            case reconcile.Release():
                self._release(action)
            case reconcile.Grow():
                self._cloud.extend(action.volume_id, action.size_gib)
                LOG.info(
                    'Volume %s was grown in the data centre: Cinder extends '
                    'it to %d GiB.',
                    action.volume_id,
                    action.size_gib,
                )
            case reconcile.Rewrite():
                self._rewrite(volume, action)
            case reconcile.Tell():
                self._tell(volume, action)
            case reconcile.Mark():
                self._mark(action)
            case reconcile.SetStatus():
                self._set_status(action)
            case reconcile.Remedy():
                self._remedies.apply(
                    action.policy, volume, action.alarm, now=self._now()
                )

    def _hold(self, action: reconcile.Hold) -> None:
        # First the mark: what is reserved without one, nobody would release.
        self._cloud.set_properties(
            action.volume_id, {properties.HELD: action.event_id}
        )
        try:
            self._cloud.reserve(action.volume_id)
        except exceptions.NotNow:
            # Somebody else has it: it is theirs.
            self._cloud.remove_property(action.volume_id, properties.HELD)
            raise

    def _release(self, action: reconcile.Release) -> None:
        # Whoever has taken it between the mark and our reservation, keeps it.
        if action.is_reserved and not self._cloud.has_attachments(
            action.volume_id
        ):
            self._cloud.unreserve(action.volume_id)
        self._cloud.remove_property(action.volume_id, properties.HELD)

    def _rewrite(self, volume: CloudVolume, action: reconcile.Rewrite) -> None:
        if action.name is not None:
            self._cloud.edit(
                action.volume_id, action.name, action.description or ''
            )
        news = dict(action.metadata)
        if action.conflicts:
            news[properties.CONFLICT] = properties.shortened(
                'Changed on both sides; the data centre was the last. '
                'Dropped here: '
                + ', '.join(
                    f'{name} {text!r}'
                    for name, text in sorted(action.conflicts.items())
                )
            )
        if news:
            self._cloud.set_properties(action.volume_id, news)
        for key in action.removed:
            self._cloud.remove_property(action.volume_id, key)
        for name, text in sorted(action.conflicts.items()):
            LOG.warning(
                'Both sides have changed the %s of volume %s: the data '
                "centre's stays, Cinder's was %r.",
                name,
                action.volume_id,
                text,
            )
        LOG.debug(
            'Volume %s was edited in the data centre: name %r, was %r',
            action.volume_id,
            action.name,
            volume.name,
        )

    def _tell(self, volume: CloudVolume, action: reconcile.Tell) -> None:
        told = edits.base_of(action.fields).to_text()
        if volume.properties.get(properties.TOLD) != told:
            # Before the event: once that has happened, it must be known that
            # it was ours.
            self._cloud.set_properties(
                action.volume_id, {properties.TOLD: told}
            )
        parameters = edits.edit_of(action.platform, action.fields)
        # The same event from every listener, and again after a restart; but
        # another one once the data centre has changed the volume since, or
        # the one before has failed.
        name = (
            f'{action.platform.volume_id} '
            f'{action.platform.changed_at_sequence} {told} '
            f'{action.fields.volume_type} {action.failed}'
        )
        event = events.Event(
            event_id=str(uuid.uuid5(_NAMESPACE, name)),
            operation=events.Operation.EDIT,
            volume_id=action.platform.volume_id,
            origin=events.Origin.CLOUD,
            parameters=parameters,
            created_at=self._now(),
            requested_by=events.Requester(
                project_id=edits.shown(volume.project_id),
                user_id=edits.shown(volume.user_id),
            ),
        )
        try:
            self._client.submit(event)
        except exceptions.AgentRefused as exc:
            # Submitted before, by another listener or by this one.
            if exc.code is not ErrorCode.CONFLICT:
                raise
        LOG.debug(
            'Volume %s was edited in the cloud: told the data centre',
            action.volume_id,
        )

    def _mark(self, action: reconcile.Mark) -> None:
        if action.set:
            self._cloud.set_properties(action.volume_id, action.set)
        for key in action.removed:
            self._cloud.remove_property(action.volume_id, key)

    def _set_status(self, action: reconcile.SetStatus) -> None:
        self._cloud.set_status(action.volume_id, action.status)
        LOG.info(
            'Volume %s was %s in Cinder and is %s now: see its property %s.',
            action.volume_id,
            action.was,
            action.status,
            properties.ALARM,
        )
