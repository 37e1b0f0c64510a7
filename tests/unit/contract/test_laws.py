"""What holds for every message: it arrives as it was sent, or is refused."""

from __future__ import annotations

import copy
import datetime
import json
import string
import typing
import unittest

import hypothesis
from hypothesis import strategies as st

from tests.unit.contract import golden
from tests.unit.contract import strategies
from virtdc_agent.contract import alarms
from virtdc_agent.contract import codec
from virtdc_agent.contract.errors import ContractError
from virtdc_agent.contract import events
from virtdc_agent.contract import fields
from virtdc_agent.contract import pieces
from virtdc_agent.contract import resyncs
from virtdc_agent.contract import rpc
from virtdc_agent.contract import topics

KINDS = (
    events.Event,
    events.Transition,
    events.Announcement,
    events.Volume,
    events.Snapshot,
    events.Manageable,
    events.Capacity,
    events.TrashedVolume,
    alarms.Alarm,
    alarms.AlarmNotice,
    resyncs.Resync,
)
MAX_ERROR = 600
"""An error never grows with what it complains of."""

ENVELOPES = [
    codec.encode(value) for value in golden.VALUES[codec.VERSION].values()
]

NASTY: list[object] = [
    *(None, True, -1, 0, 1.5, 2**63, 10**400, float('nan'), float('inf')),
    *('', '\x00', '../x', '\ud800', 'x' * 5000, [], {}, [[[]]], {'': ''}),
    *('0001-01-01T00:00:00+23:59', '9999-12-31T23:59:59-23:59'),
]

# What a parser of times may stumble over.
near_times = st.text(string.digits + 'TZW:+-. ', max_size=40)
wild = (
    strategies.trees
    | near_times
    | st.floats()
    | st.integers()
    | st.sampled_from(NASTY)
    | st.sampled_from(list(events.Operation))
)


def places_in(value: object) -> list[tuple[typing.Any, typing.Any]]:
    """Return (container, key) of everything in a JSON value."""
    if isinstance(value, dict):
        items: list[tuple[typing.Any, object]] = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    else:
        return []
    here = [(value, key) for key, _ in items]
    return here + [place for _, item in items for place in places_in(item)]


@st.composite
def damaged(draw: st.DrawFn) -> object:
    """Return a message of which a few places lack or hold something else."""
    envelope = copy.deepcopy(draw(st.sampled_from(ENVELOPES)))
    for _ in range(draw(st.integers(1, 3))):
        places = places_in(envelope)
        container, key = places[draw(st.integers(0, len(places) - 1))]
        if draw(st.integers(0, 3)):
            # A copy: some of them are shared, and may be damaged next.
            container[key] = copy.deepcopy(draw(wild))
        elif len(places) > 1:
            del container[key]
    return envelope


class TestRoundTrip(unittest.TestCase):
    @hypothesis.given(strategies.messages)
    @hypothesis.settings(max_examples=300)
    def test_what_is_read_is_what_was_written(
        self, message: codec.Message
    ) -> None:
        text = json.dumps(codec.encode(message))
        self.assertEqual(
            message, codec.decode(json.loads(text), type(message))
        )

    @hypothesis.given(st.datetimes(), st.datetimes())
    def test_times_sort_as_their_texts_do(
        self, one: datetime.datetime, other: datetime.datetime
    ) -> None:
        one, other = (
            time.replace(tzinfo=datetime.UTC) for time in (one, other)
        )
        self.assertEqual(
            one < other, pieces.format_time(one) < codec.format_time(other)
        )

    @hypothesis.given(
        st.datetimes(
            datetime.datetime(2, 1, 1),
            datetime.datetime(9998, 1, 1),
            # Whole minutes, as in ISO 8601: Python 3.11 reads one of some
            # microseconds as none.
            timezones=st.integers(-23 * 60, 23 * 60).map(
                lambda minutes: datetime.timezone(
                    datetime.timedelta(minutes=minutes)
                )
            ),
        )
    )
    def test_a_time_of_any_zone_is_the_same_instant(
        self, time: datetime.datetime
    ) -> None:
        for text in (pieces.format_time(time), time.isoformat()):
            reader = fields.Reader({'at': text}, '')
            self.assertEqual(time, reader.time('at'))

    @hypothesis.given(st.text(), st.integers(1, 50))
    def test_cleaned_text_is_admitted_text(
        self, text: str, max_length: int
    ) -> None:
        cleaned = fields.clean_text(text, max_length)
        self.assertEqual(
            cleaned, fields.check_text(cleaned, 'text', max_length)
        )
        self.assertEqual(cleaned, fields.clean_text(cleaned, max_length))

    @hypothesis.given(st.sampled_from(rpc.ErrorCode), st.text(), st.text())
    def test_a_refusal_arrives_whatever_its_text(
        self, code: rpc.ErrorCode, message: str, field: str
    ) -> None:
        refusal = rpc.Refusal(code=code, message=message, field=field)
        read = rpc.Refusal.from_answer(refusal.to_primitive())
        self.assertEqual(
            rpc.Refusal(
                code=code,
                message=fields.clean_text(message),
                field=fields.clean_text(field),
            ),
            read,
        )

    @hypothesis.given(st.text(), st.text())
    def test_a_failure_arrives_whatever_its_text(
        self, message: str, phase: str
    ) -> None:
        failure = golden.transition(
            events.State.FAILED,
            1,
            reason=events.Reason.BACKEND,
            message=message * 500,
            phase=phase * 10,
        )
        read = codec.decode(codec.encode(failure), events.Transition)
        self.assertEqual(events.Reason.BACKEND, read.reason)


class TestAnythingElse(unittest.TestCase):
    """No input raises anything but a ``ContractError``."""

    def check(self, envelope: object) -> None:
        """Read the input as everything that it might be."""
        for kind in KINDS:
            try:
                codec.decode(envelope, kind)
            except ContractError as exc:
                self.assertLess(len(str(exc)), MAX_ERROR)
        try:
            codec.decode_notification(envelope)
        except ContractError as exc:
            self.assertLess(len(str(exc)), MAX_ERROR)
        try:
            rpc.Refusal.from_answer(envelope)
        except ContractError as exc:
            self.assertLess(len(str(exc)), MAX_ERROR)

    @hypothesis.given(strategies.trees | wild)
    @hypothesis.settings(max_examples=200)
    def test_any_json(self, envelope: object) -> None:
        self.check(envelope)
        self.check({'error': envelope})

    def test_everything_nasty_in_every_place(self) -> None:
        for envelope in ENVELOPES:
            for index in range(len(places_in(envelope))):
                for value in NASTY:
                    spoiled = copy.deepcopy(envelope)
                    container, key = places_in(spoiled)[index]
                    container[key] = value
                    self.check(spoiled)

    @hypothesis.given(damaged())
    @hypothesis.settings(
        max_examples=500,
    )
    def test_damaged_messages(self, envelope: object) -> None:
        self.check(envelope)

    @hypothesis.given(near_times)
    @hypothesis.settings(max_examples=300)
    def test_what_looks_like_a_time(self, text: str) -> None:
        try:
            fields.Reader({'at': text}, '').time('at')
        except ContractError:
            pass


class TestNames(unittest.TestCase):
    def test_event_types(self) -> None:
        values = golden.VALUES[codec.VERSION]
        for name, expected in (
            ('announcement', 'virtdc.event.generated'),
            ('transition-waiting', 'virtdc.volume.create.waiting'),
            ('transition-success', 'virtdc.volume.create.success'),
            ('transition-failed-lost', 'virtdc.volume.create.failed'),
            ('alarm-raised', 'virtdc.alarm.raised'),
            ('alarm-cleared', 'virtdc.alarm.cleared'),
        ):
            self.assertEqual(expected, topics.event_type(values[name]))
