"""Signatures: what passes, and all that must not."""

from __future__ import annotations

import copy
import datetime
import json
from pathlib import Path
import tempfile
from typing import Any
import unittest

from hypothesis import given
from hypothesis import strategies as st

from virtdc_agent.contract.errors import ContractError
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.errors import NotAuthentic
from virtdc_agent.contract.key_file import KeyFile
from virtdc_agent.contract import sealing
from virtdc_agent.contract.sealing import Seal
from virtdc_agent.contract import signing
from virtdc_agent.contract.signing import Key
from virtdc_agent.contract.signing import Keyring

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=datetime.UTC)
KEY = Key('autumn', b'a' * 32)
OTHER = Key('winter', b'w' * 32)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
JSON = st.dictionaries(
    st.text(max_size=8),
    LEAF | st.lists(LEAF, max_size=3) | st.dictionaries(st.text(), LEAF),
    max_size=3,
)


class Fixed:
    """Keys that can be exchanged."""

    def __init__(self, *keys: Key) -> None:
        self.keys = keys

    def current(self) -> Keyring:
        return Keyring(self.keys)


class Time:
    """A time of day that the test sets."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime.datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += datetime.timedelta(seconds=seconds)


def travel(value: Any) -> Any:
    """Return what arrives at the other end of a bus."""
    return json.loads(json.dumps(value))


class TestKeyring(unittest.TestCase):
    @given(JSON)
    def test_what_was_signed_passes(self, content: object) -> None:
        signature = Keyring([KEY]).sign('call:t:m', content, at=NOW)
        found = Keyring([OTHER, KEY]).check(
            'call:t:m', travel(content), travel(signature)
        )
        self.assertEqual(NOW, found.at)

    def test_everything_is_covered(self) -> None:
        content = {'event': {'size': 1}}
        signature = Keyring([KEY]).sign('call:t:m', content, at=NOW)
        later = (NOW + datetime.timedelta(seconds=1)).isoformat()
        for purpose, body, changes in (
            ('call:t:other', content, {}),
            ('call:u:m', content, {}),
            ('call:t:m', {'event': {'size': 2}}, {}),
            ('call:t:m', {}, {}),
            ('call:t:m', content, {'at': later}),
            ('call:t:m', content, {'nonce': 'x'}),
            ('call:t:m', content, {'mac': '0' * 64}),
            ('call:t:m', content, {'mac': ''}),
            ('call:t:m', content, {'mac': 'é' * 32}),
            ('call:t:m', content, {'key': 'winter'}),
            ('call:t:m', content, {'key': 'unknown'}),
        ):
            with (
                self.subTest(purpose=purpose, body=body, changes=changes),
                self.assertRaises(NotAuthentic),
            ):
                Keyring([KEY, OTHER]).check(
                    purpose, body, {**signature, **changes}
                )

    def test_what_is_no_signature(self) -> None:
        for signature in ('x', 7, [], {}, {'key': 1}, {'key': 'autumn'}):
            with (
                self.subTest(signature=signature),
                self.assertRaises(MalformedMessage),
            ):
                Keyring([KEY]).check('p', {}, signature)
        with self.assertRaises(ContractError):
            Keyring([KEY]).check(
                'p', {'x': float('nan')}, Keyring([KEY]).sign('p', {}, at=NOW)
            )

    def test_files_that_hold_no_keys(self) -> None:
        secret = KEY.to_line().split()[1]
        for text, words in (
            ('', 'no key'),
            ('# only a remark', 'no key'),
            ('autumn', 'line 1'),
            (f'\nautumn {secret} more', 'line 2'),
            (f'../x {secret}', 'line 1'),
            ('autumn %%%', 'line 1 is not base64'),
            ('autumn c2hvcnQ=', 'fewer than 32'),
            (f'a {secret}\na {secret}', 'same id'),
        ):
            with self.subTest(text=text):
                with self.assertRaisesRegex(ValueError, words) as caught:
                    Keyring.from_text(text)
                self.assertNotIn(secret, str(caught.exception))

    def test_a_key_shows_no_secret(self) -> None:
        key = Key.generate('autumn')
        self.assertNotIn(str(key.secret), repr(key))
        self.assertEqual(
            key, Keyring.from_text(f'# new\n\n{key.to_line()}\n').signer
        )


class TestSeal(unittest.TestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.client = self.seal(KEY)
        self.agent = self.seal(KEY)

    def seal(self, *keys: Key, **more: Any) -> Seal:
        return Seal(Fixed(*keys), now=self.time, **more)

    def signed(self, **arguments: object) -> dict[str, object]:
        return travel(self.client.put_on_call('t', 'm', arguments)[0])

    def test_a_call_and_its_answer(self) -> None:
        signed, nonce = self.client.put_on_call('t', 'm', {'a': 1})
        arguments, heard = self.agent.check_call('t', 'm', travel(signed))
        self.assertEqual(({'a': 1}, nonce), (arguments, heard))
        answer = travel(self.agent.put_on_answer(heard, {'item': 2}))
        self.assertEqual({'item': 2}, self.client.check_answer(nonce, answer))

    def test_an_answer_to_another_call(self) -> None:
        _, first = self.client.put_on_call('t', 'm', {})
        _, second = self.client.put_on_call('t', 'm', {})
        answer = self.agent.put_on_answer(first, {'item': 2})
        with self.assertRaises(NotAuthentic):
            self.client.check_answer(second, answer)

    def test_an_answer_that_is_altered_or_not_signed(self) -> None:
        _, nonce = self.client.put_on_call('t', 'm', {})
        answer = self.agent.put_on_answer(nonce, {'item': 2})
        for wrong in ({**answer, 'item': 3}, {**answer, 'x': 1}, {'item': 2}):
            with (
                self.subTest(wrong=wrong),
                self.assertRaises(NotAuthentic),
            ):
                self.client.check_answer(nonce, wrong)

    def test_why_a_call_was_refused_is_heard(self) -> None:
        refusal = {'error': {'code': 'unauthenticated', 'message': 'm'}}
        self.assertEqual(refusal, self.client.check_answer('n', refusal))
        for code in ('rejected', 'conflict', None):
            with self.subTest(code=code), self.assertRaises(NotAuthentic):
                self.client.check_answer('n', {'error': {'code': code}})

    def test_a_call_is_taken_once(self) -> None:
        signed = self.signed(a=1)
        self.agent.check_call('t', 'm', signed)
        with self.assertRaisesRegex(NotAuthentic, 'repeats'):
            self.agent.check_call('t', 'm', copy.deepcopy(signed))

    def test_a_call_is_taken_while_it_is_fresh(self) -> None:
        for seconds, is_fresh in ((59, True), (61, False), (-61, False)):
            with self.subTest(seconds=seconds):
                self.time.at = NOW
                signed = self.signed()
                self.time.advance(seconds)
                if is_fresh:
                    self.agent.check_call('t', 'm', signed)
                    continue
                with self.assertRaisesRegex(NotAuthentic, 'clocks'):
                    self.agent.check_call('t', 'm', signed)

    def test_what_was_seen_is_forgotten_when_it_is_stale(self) -> None:
        guard = sealing.ReplayGuard(60.0)
        first = signing.Signature(at=NOW, nonce='first')
        guard.admit(first, NOW)
        for number in range(1000):
            now = NOW + datetime.timedelta(seconds=number)
            guard.admit(signing.Signature(at=now, nonce=str(number)), now)
        self.assertLessEqual(guard.remembered, 122)
        with self.assertRaisesRegex(NotAuthentic, 'clocks'):
            guard.admit(first, now)

    def test_notifications_may_be_late(self) -> None:
        told = travel(self.agent.put_on_notification('t', {'data': 1}))
        self.time.advance(86400)
        for _ in range(2):
            self.assertEqual(
                {'data': 1}, self.client.check_notification('t', told)
            )
        for topic, payload in (
            ('u', told),
            ('t', {**told, 'data': 2}),
            ('t', {'data': 1}),
        ):
            with self.subTest(topic=topic), self.assertRaises(NotAuthentic):
                self.client.check_notification(topic, payload)

    def test_one_is_not_passed_off_as_another(self) -> None:
        told = self.agent.put_on_notification('t', {'a': 1})
        with self.assertRaises(NotAuthentic):
            self.agent.check_call('t', 'm', told)

    def test_while_keys_are_given_out(self) -> None:
        lenient = self.seal(KEY, accepts_unsigned=True)
        self.assertEqual(
            ({'a': 1}, ''), lenient.check_call('t', 'm', {'a': 1})
        )
        # What is signed must be right all the same.
        with self.assertRaises(NotAuthentic):
            lenient.check_call('t', 'm', {**self.signed(a=1), 'a': 2})

    def test_without_keys_signatures_are_passed_over(self) -> None:
        bare = Seal()
        self.assertEqual(
            ({'a': 1}, ''), bare.check_call('t', 'm', self.signed(a=1))
        )
        told = self.agent.put_on_notification('t', {'a': 1})
        self.assertEqual(told, bare.check_notification('t', told))

    def test_the_way_to_another_key(self) -> None:
        steps = [(KEY,), (KEY, OTHER), (OTHER, KEY), (OTHER,)]
        for before, after in zip(steps, steps[1:], strict=False):
            for sender, taker in (
                (before, after),
                (after, before),
                (after, after),
            ):
                self.client = self.seal(*sender)
                self.seal(*taker).check_call('t', 'm', self.signed())


class TestKeyFile(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / 'keys'
        self.now = 0.0

    def write(self, text: str, mode: int = 0o600) -> None:
        self.path.unlink(missing_ok=True)
        self.path.write_text(text, encoding='ascii')
        self.path.chmod(mode)

    def open(self) -> KeyFile:
        return KeyFile(str(self.path), monotonic=lambda: self.now)

    def test_files_that_cannot_be_used(self) -> None:
        for text, mode, words in (
            (None, 0, 'No such file'),
            ('x', 0o600, 'line 1'),
            (KEY.to_line(), 0o644, '0640'),
            (KEY.to_line(), 0o660, '0640'),
        ):
            with self.subTest(words=words):
                if text is not None:
                    self.write(text, mode)
                with self.assertRaisesRegex(ValueError, words) as caught:
                    self.open()
                self.assertIn(str(self.path), str(caught.exception))
                self.assertIsNone(caught.exception.__cause__)

    def test_a_change_is_seen_soon(self) -> None:
        self.write(KEY.to_line())
        keys = self.open()
        self.write(OTHER.to_line())
        self.assertEqual(KEY, keys.current().signer)
        self.now = 2.0
        self.assertEqual(OTHER, keys.current().signer)

    def test_the_former_keys_hold_while_the_file_is_broken(self) -> None:
        self.write(KEY.to_line())
        keys = self.open()
        self.write('half a li')
        self.now = 2.0
        with self.assertLogs('virtdc_agent.contract', 'WARNING'):
            self.assertEqual(KEY, keys.current().signer)
        self.path.unlink()
        self.now = 4.0
        with self.assertLogs('virtdc_agent.contract', 'WARNING'):
            self.assertEqual(KEY, keys.current().signer)
        self.write(OTHER.to_line())
        self.now = 6.0
        self.assertEqual(OTHER, keys.current().signer)
