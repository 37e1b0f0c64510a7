"""A short chaos run on each kind of journal: see ``tools/chaos``."""

from __future__ import annotations

import os
from pathlib import Path
import tempfile
import unittest

from tests.chaos import run
from tests.chaos.world import Database
from tests.functional import base
from tools.lab import errors


class TestChaos(unittest.TestCase):
    def test_one_agent_on_sqlite(self) -> None:
        self.carry_out(Database.SQLITE, agents=1, seed=2026, seconds=20)

    def test_three_agents_on_postgresql(self) -> None:
        self.carry_out(Database.POSTGRESQL, agents=3, seed=11, seconds=40)

    def carry_out(
        self, database: Database, *, agents: int, seed: int, seconds: float
    ) -> None:
        order = run.Order(
            database=database, agents=agents, seed=seed, seconds=seconds
        )
        said: list[str] = []
        folder = Path(tempfile.mkdtemp(prefix='virtdc-chaos-'))
        try:
            one = run.Run(
                order, folder, lambda at_s, words: said.append(words)
            )
        except errors.LabError as exc:
            if os.environ.get(base.REQUIRED):
                raise
            self.skipTest(f'no lab: {exc}')
        self.addCleanup(one.world.remove)
        self.addCleanup(one.world.down)
        verdict = one.carry_out()
        broken = [f'{each.law}: {each.what}' for each in verdict.breaches]
        self.assertEqual([], broken, '\n'.join(said))


if __name__ == '__main__':
    unittest.main()
