"""The console's files, and what they are told of the caller."""

from __future__ import annotations

import re

from tests.unit.api import base
from virtdc_agent.api import console
from virtdc_agent.contract import events

# What would make markup, or code, of text.
DANGEROUS = re.compile(
    r'innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|'
    r'new Function|createContextualFragment|DOMParser|javascript:'
)
ELSEWHERE = re.compile(r'(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}')
NAMESPACE = 'http://www.w3.org/2000/svg'


class TestFiles(base.ApiCase):
    def setUp(self) -> None:
        super().setUp()
        self.files = {
            path.name: path.read_text() for path in console.FOLDER.iterdir()
        }

    def test_are_served_with_a_strict_policy(self) -> None:
        for name in ('', *self.files):
            answer = self.ask('GET', f'/console/{name}', caller=None)
            self.assertEqual(200, answer.status_code)
            policy = answer.headers['Content-Security-Policy']
            self.assertIn("default-src 'none'", policy)
            self.assertIn("require-trusted-types-for 'script'", policy)
            self.assertNotIn('unsafe', policy)

    def test_need_nothing_from_elsewhere(self) -> None:
        for name, text in self.files.items():
            found = ELSEWHERE.findall(text.replace(NAMESPACE, ''))
            self.assertEqual([], found, name)
            self.assertNotRegex(text, DANGEROUS, name)
        page = self.files['index.html']
        self.assertNotRegex(page, r'<style|\sstyle=|\son[a-z]+=')
        self.assertEqual(1, page.count('<script'))
        for link in re.findall(r'(?:src|href)="([^"#]+)"', page):
            self.assertIn(link, self.files)

    def test_import_what_there_is(self) -> None:
        for name, text in self.files.items():
            for names, source in re.findall(
                r"^import \{([^}]*)\} from '\./([^']+)'", text, re.MULTILINE
            ):
                for wanted in re.findall(r'\w+', names):
                    self.assertRegex(
                        self.files[source],
                        rf'export (?:function|const|class) {wanted}\b',
                        f'{name} imports it of {source}',
                    )

    def test_have_a_word_for_each_operation(self) -> None:
        words = self.files['format.js']
        for operation in events.Operation:
            self.assertRegex(words, rf'\b{operation.value}: ')
        for reason in events.Reason:
            self.assertRegex(words, rf'\b{reason.value}: ')


class TestMe(base.ApiCase):
    def ask_who(self, caller: str) -> dict[str, object]:
        answer = self.ask('GET', '/v1/me', caller=caller)
        self.assertEqual(200, answer.status_code)
        return answer.json

    def test_of_the_data_centre(self) -> None:
        me = self.ask_who('admin')
        self.assertEqual('platform', me['scope'])
        self.assertIsNone(me['project_id'])
        self.assertIn('agents:drain', me['may'])
        self.assertNotIn('agents:drain', self.ask_who('operator')['may'])
        self.assertNotIn('volumes:create', self.ask_who('reader')['may'])

    def test_of_a_project(self) -> None:
        me = self.ask_who('own-member')
        self.assertEqual(
            (base.OWN, 'project'), (me['project_id'], me['scope'])
        )
        self.assertIn('volumes:create', me['may'])
        self.assertNotIn('alarms:list', me['may'])

    def test_of_somebody_without_a_role(self) -> None:
        self.assertEqual(['me:show'], self.ask_who('nothing')['may'])

    def test_of_nobody(self) -> None:
        answer = self.ask('GET', '/v1/me', caller=None)
        self.refused(401, 'unauthenticated', answer)
