"""Alarms: conditions that a person must see."""

from __future__ import annotations

import dataclasses

import falcon

from virtdc_agent.api import access
from virtdc_agent.api import actions
from virtdc_agent.api.actions import Action
from virtdc_agent.api.actions import Answer
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import schemas
from virtdc_agent.api import views


@dataclasses.dataclass(frozen=True, slots=True)
class Alarms:
    """All alarms that are raised."""

    platform: Platform

    @actions.described(
        Action(
            name='listAlarms',
            summary='List the alarms that are raised, by kind and subject',
            tag='alarms',
            rule='alarms:list',
            query={'marker': schemas.MARKER, 'limit': schemas.LIMIT},
            answer=Answer(schema='AlarmPage'),
        ),
        schemas.BODIES,
    )
    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List alarms."""
        access.Access(self.platform, req).allow('alarms:list')
        query = req.context.query
        page = self.platform.keeping.get_alarms(
            query.get('marker'), query['limit']
        )
        resp.media = {
            'alarms': [views.of_alarm(alarm) for alarm in page.alarms],
            'next_marker': page.next_marker,
            'revision': page.revision,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm."""

    platform: Platform

    @actions.described(
        Action(
            name='showAlarm',
            summary='Show an alarm that is raised',
            tag='alarms',
            rule='alarms:list',
            answer=Answer(schema='Alarm'),
            problems={404: 'it is not raised'},
        ),
        schemas.BODIES,
    )
    def on_get(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        kind: str,
        subject: str,
    ) -> None:
        """Show it."""
        access.Access(self.platform, req).allow('alarms:list')
        resp.media = views.of_alarm(
            self.platform.keeping.get_alarm(kind, subject)
        )

    @actions.described(
        Action(
            name='acknowledgeAlarm',
            summary='Note that an alarm was seen, with a comment',
            tag='alarms',
            rule='alarms:acknowledge',
            body='AlarmAcknowledge',
            answer=Answer(schema='Alarm'),
            problems={404: 'it is not raised'},
        ),
        schemas.BODIES,
    )
    def on_post_acknowledge(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        kind: str,
        subject: str,
    ) -> None:
        """Acknowledge it."""
        rights = access.Access(self.platform, req)
        rights.allow('alarms:acknowledge')
        resp.media = views.of_alarm(
            self.platform.keeping.acknowledge_alarm(
                kind,
                subject,
                rights.caller.user_id,
                req.context.body.get('comment', ''),
            )
        )

    @actions.described(
        Action(
            name='clearAlarm',
            summary='End an alarm whose cause is gone',
            tag='alarms',
            rule='alarms:clear',
            answer=Answer(status=204),
        ),
        schemas.BODIES,
    )
    def on_post_clear(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        kind: str,
        subject: str,
    ) -> None:
        """Clear it; one that is not raised is fine."""
        access.Access(self.platform, req).allow('alarms:clear')
        self.platform.keeping.clear_alarm(kind, subject)
        resp.status = 204
