"""The application does what its own document says: by schemathesis.

It draws requests from the document, valid and not, and compares what comes
back with it. Always the same ones: what is found is found again.
"""

from __future__ import annotations

import dataclasses

import hypothesis
import schemathesis
from schemathesis.specs.openapi import checks

from tests.unit.api import base
from virtdc_agent.api import tokens

EXAMPLES = 15


class TestConformity(base.ApiCase):
    timeout_s = 300

    def make_settings(self):
        path = self.folder / 'tokens'
        self.token, entry = tokens.make('admin', ['admin'], '')
        path.touch(0o600)
        path.write_text(entry.line)
        return dataclasses.replace(
            super().make_settings(),
            authenticators=[tokens.Tokens(str(path))],
        )

    def setUp(self) -> None:
        super().setUp()
        self.put_volume()
        self.put_snapshot()
        self.put_trash()
        self.put_file()
        self.schema = schemathesis.openapi.from_wsgi(
            '/v1/openapi.json', self.app
        )

    def test_of_each_action(self) -> None:
        seen = 0
        for found in self.schema.get_all_operations():
            operation = found.ok()
            # It does not end by itself; test_changes has it.
            if operation.path == '/v1/stream':
                continue
            seen += 1
            with self.subTest(action=operation.label):
                self.try_out(operation)
        self.assertGreater(seen, 25)

    def try_out(self, operation) -> None:
        headers = {'Authorization': f'Bearer {self.token}'}

        @hypothesis.settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def run(case) -> None:
            if case.query and 'wait' in case.query:
                case.query['wait'] = 0
            # What tries credentials too often would be told to wait.
            self.clock.advance(60)
            case.call_and_validate(
                headers=headers,
                # A marker is of a page before, and a copy has a source that
                # is there: no schema says so.
                excluded_checks=[checks.positive_data_acceptance],
            )

        run()
