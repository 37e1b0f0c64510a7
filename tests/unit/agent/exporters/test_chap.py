"""Secrets: the same from the same key, and from nothing else."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies

from tests import base
from virtdc_agent import exceptions
from virtdc_agent.exporters.chap import Secrets

NAMES = strategies.text(
    strategies.characters(blacklist_characters='\0', codec='utf-8')
)


class TestKey(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / 'key'

    def test_is_made_once_and_for_its_owner(self) -> None:
        first = Secrets.open(str(self.path)).of('v', 'h')
        self.assertEqual(0o600, self.path.stat().st_mode & 0o777)
        self.assertEqual(first, Secrets.open(str(self.path)).of('v', 'h'))
        self.assertEqual([self.path], list(self.folder.iterdir()))

    def test_is_refused_if_others_may_read_it(self) -> None:
        Secrets.open(str(self.path))
        for mode in (0o640, 0o604, 0o620):
            self.path.chmod(mode)
            with self.assertRaisesRegex(exceptions.ConfigInvalid, 'chmod 600'):
                Secrets.open(str(self.path))

    def test_is_refused_if_it_is_none(self) -> None:
        for content in (b'', b'ab', b'x' * 64, b'a' * 66, b'\xff' * 64):
            self.path.write_bytes(content)
            self.path.chmod(0o600)
            with self.assertRaisesRegex(
                exceptions.ConfigInvalid, 'does not hold a key'
            ):
                Secrets.open(str(self.path))


class TestSecrets(base.TestCase):
    @hypothesis.given(
        *(strategies.binary(min_size=1),) * 2,
        *(strategies.tuples(NAMES, NAMES),) * 2,
    )
    def test_differ_with_key_volume_and_host(
        self,
        key: bytes,
        other_key: bytes,
        names: tuple[str, str],
        other_names: tuple[str, str],
    ) -> None:
        mine = Secrets(key).of(*names)
        self.assertEqual(mine, Secrets(key).of(*names))
        self.assertRegex(mine.secret, r'\A[A-Za-z0-9_-]{16}\Z')
        self.assertNotIn(mine.secret, mine.account)
        # Keys that are padded with zeros are the same to HMAC.
        if key.rstrip(b'\0') != other_key.rstrip(b'\0'):
            other = Secrets(other_key).of(*names)
            self.assertNotEqual(mine.secret, other.secret)
            self.assertNotEqual(mine.account, other.account)
        if names != other_names:
            other = Secrets(key).of(*other_names)
            self.assertNotEqual(mine.secret, other.secret)
            self.assertNotEqual(mine.account, other.account)
