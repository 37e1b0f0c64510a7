"""Answers the calls of ``contract.rpc`` on alarms."""

from __future__ import annotations

from virtdc_agent.answering import Answer
from virtdc_agent.answering import answered
from virtdc_agent.answering import Answerer
from virtdc_agent.contract.alarm_codec import kind_from
from virtdc_agent.contract.alarm_codec import MAX_COMMENT
from virtdc_agent.contract.alarms import Severity
from virtdc_agent.contract import codec
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.pieces import MAX_NAME
from virtdc_agent.contract import rpc
from virtdc_agent import interfaces


class AlarmCalls(Answerer):
    """The calls on alarms. Safe from any thread."""

    _alarms: interfaces.Alarms

    @answered
    def get_alarms(self, marker: object = None, limit: object = 100) -> Answer:
        """Return a page of raised alarms."""
        reader = Reader({'marker': marker, 'limit': limit}, '')
        page = self._alarms.get_alarms(
            reader.text('marker', max_length=MAX_NAME)
            if reader.has('marker')
            else None,
            reader.integer('limit', minimum=1, maximum=rpc.MAX_PAGE),
        )
        return {
            'items': [codec.encode(alarm) for alarm in page.alarms],
            'next': page.next_marker,
            'revision': page.revision,
        }

    @answered
    def raise_alarm(
        self,
        kind: object = None,
        subject: object = None,
        severity: object = None,
        message: object = None,
        details: object = None,
    ) -> Answer:
        """Raise an alarm that the cloud has found a reason for."""
        reader = Reader(
            {
                'kind': kind,
                'subject': subject,
                'severity': severity,
                'message': message,
                'details': details,
            },
            '',
        )
        codec.check_size(details, codec.MAX_EVENT_BYTES)
        news = self._alarms.raise_alarm(
            kind=kind_from(reader),
            subject=reader.identifier('subject'),
            severity=reader.choice('severity', Severity),
            message=reader.text('message'),
            details=reader.json('details'),
        )
        return {
            'item': codec.encode(news.alarm),
            'change': None if news.change is None else news.change.value,
        }

    @answered
    def acknowledge_alarm(
        self,
        kind: object = None,
        subject: object = None,
        by: object = None,
        comment: object = '',
    ) -> Answer:
        """Note that somebody has seen an alarm."""
        reader = Reader(
            {'kind': kind, 'subject': subject, 'by': by, 'comment': comment},
            '',
        )
        who = reader.text('by', max_length=MAX_NAME)
        if not who:
            raise MalformedMessage('by', 'must not be empty')
        alarm = self._alarms.acknowledge_alarm(
            kind_from(reader),
            reader.identifier('subject'),
            who,
            reader.text('comment', default='', max_length=MAX_COMMENT),
        )
        return {'item': codec.encode(alarm)}

    @answered
    def clear_alarm(
        self, kind: object = None, subject: object = None
    ) -> Answer:
        """End an alarm whose cause is gone."""
        reader = Reader({'kind': kind, 'subject': subject}, '')
        return {
            'cleared': self._alarms.clear_alarm(
                kind_from(reader), reader.identifier('subject')
            )
        }
