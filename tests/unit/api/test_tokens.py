"""Static tokens."""

from __future__ import annotations

import os

from falcon import testing

from tests import base
from virtdc_agent.api import callers
from virtdc_agent.api import tokens
from virtdc_agent import exceptions


class TokensCase(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / 'tokens'
        self.token, self.entry = tokens.make('alice', ['operator'], '')
        self.write(self.entry.line)

    def write(self, *lines: str, mode: int = 0o600) -> None:
        self.path.unlink(missing_ok=True)
        self.path.write_text(''.join(f'{line}\n' for line in lines))
        os.chmod(self.path, mode)

    def request(self, **headers: str):
        return testing.create_req(
            headers={
                name.replace('_', '-'): value
                for name, value in headers.items()
            }
        )


class TestTokens(TokensCase):
    def test_both_headers_will_do(self) -> None:
        known = tokens.Tokens(str(self.path))
        for request in (
            self.request(Authorization=f'Bearer {self.token}'),
            self.request(Authorization=f'bearer  {self.token}'),
            self.request(X_Auth_Token=self.token),
        ):
            caller = known.authenticate(request)
            self.assertEqual('alice', caller.user_id)
            self.assertEqual({'operator', 'reader'}, caller.roles)
            self.assertEqual(callers.Scope.PLATFORM, caller.scope)
            self.assertIsNone(caller.project_id)

    def test_no_credential_is_not_a_wrong_one(self) -> None:
        known = tokens.Tokens(str(self.path))
        self.assertIsNone(known.authenticate(self.request()))
        self.assertIsNone(
            known.authenticate(self.request(Authorization='Basic YTpi'))
        )
        for wrong in ('', 'x', self.token[:-1], self.entry.digest, 'ä'):
            if not wrong:
                continue
            with self.assertRaises(callers.Unauthenticated):
                known.authenticate(
                    self.request(Authorization=f'Bearer {wrong}')
                )

    def test_the_token_is_nowhere_at_rest(self) -> None:
        self.assertNotIn(self.token, self.path.read_text())
        self.assertNotIn(self.token, repr(self.entry))
        self.assertTrue(self.token.startswith(tokens.PREFIX))

    def test_of_a_project(self) -> None:
        token, entry = tokens.make('bob', ['member'], 'p1')
        self.write(entry.line)
        caller = tokens.Tokens(str(self.path)).authenticate(
            self.request(X_Auth_Token=token)
        )
        self.assertEqual(
            (callers.Scope.PROJECT, 'p1', {'member', 'reader'}),
            (caller.scope, caller.project_id, caller.roles),
        )

    def test_a_change_counts_at_once(self) -> None:
        known = tokens.Tokens(str(self.path))
        other, entry = tokens.make('carol', ['reader'], '')
        self.write('# those of today', '', entry.line)
        self.assertEqual(
            'carol',
            known.authenticate(self.request(X_Auth_Token=other)).name,
        )
        with self.assertRaises(callers.Unauthenticated):
            known.authenticate(self.request(X_Auth_Token=self.token))

    def test_a_file_that_went_bad_lets_nobody_in(self) -> None:
        known = tokens.Tokens(str(self.path))
        for spoil in (
            lambda: self.write(self.entry.line, 'nonsense'),
            lambda: self.write(self.entry.line, mode=0o644),
            self.path.unlink,
        ):
            self.write(self.entry.line)
            known.authenticate(self.request(X_Auth_Token=self.token))
            spoil()
            for _ in range(3):
                with self.assertRaises(callers.Unauthenticated):
                    known.authenticate(self.request(X_Auth_Token=self.token))
        self.assertEqual(3, self.log.text.count('No token is accepted'))
        self.assertNotIn(self.entry.digest, self.log.text)
        self.write(self.entry.line)
        known.authenticate(self.request(X_Auth_Token=self.token))


class TestFile(TokensCase):
    def test_bad_lines_are_named_and_not_shown(self) -> None:
        digest = self.entry.digest
        for line in (
            'alice',
            'alice:reader::sha256',
            f'alice:reader::md5:{digest}',
            f'alice:king::sha256:{digest}',
            f'alice:::sha256:{digest}',
            f':reader::sha256:{digest}',
            f'a b:reader::sha256:{digest}',
            f'alice:reader:p/1:sha256:{digest}',
            f'alice:member::sha256:{digest}',
            f'alice:reader::sha256:{digest[:-1]}',
            f'alice:reader::sha256:{digest.upper()}',
        ):
            with self.subTest(line=line):
                self.write('# first', line)
                with self.assertRaises(exceptions.ConfigInvalid) as caught:
                    tokens.read(str(self.path))
                self.assertIn('line 2', str(caught.exception))
                self.assertNotIn(digest[:20], str(caught.exception))

    def test_names_are_unique(self) -> None:
        self.write(self.entry.line, self.entry.line)
        with self.assertRaisesRegex(exceptions.ConfigInvalid, 'two tokens'):
            tokens.read(str(self.path))

    def test_is_closed_to_others(self) -> None:
        for mode in (0o604, 0o602, 0o620, 0o666):
            self.write(self.entry.line, mode=mode)
            with self.assertRaisesRegex(exceptions.ConfigInvalid, 'chmod 600'):
                tokens.read(str(self.path))
        self.write(self.entry.line, mode=0o640)
        self.assertEqual([self.entry], list(tokens.read(str(self.path))))

    def test_has_to_be_there(self) -> None:
        with self.assertRaisesRegex(exceptions.ConfigInvalid, 'tokens_file'):
            tokens.Tokens(str(self.folder / 'none'))
