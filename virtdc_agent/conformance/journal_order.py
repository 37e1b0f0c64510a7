"""What a journal must hold of whose turn it is."""

from __future__ import annotations

import dataclasses

from virtdc_agent.conformance import journal
from virtdc_agent.contract import events
from virtdc_agent.scheduling import Lane


class OrderRules(journal.JournalCase):
    """The rules; see ``journal_rules``."""

    def test_lanes_are_apart(self) -> None:
        """Who asks for one lane gets nothing of the other."""
        thick = journal.create_event('thick', 'a', thick=True)
        self.journal.append(thick)
        (quick,) = self.append('b')
        self.assertEqual([quick], [claim.event for claim in self.claim(10)])
        (claim,) = self.journal.claim(Lane.COPY, 10)
        self.assertEqual((thick, Lane.COPY), (claim.event, claim.lane))

    def test_projects_share(self) -> None:
        """One that comes with one event does not wait behind a hundred."""
        for index in range(20):
            self.journal.append(
                journal.create_event(f'a{index}', f'a{index}', project='a')
            )
        self.journal.settle(self.claim(1)[0], journal.SUCCESS)
        self.journal.append(journal.create_event('b', 'b', project='b'))
        taken = [claim.event.event_id for claim in self.claim(2)]
        self.assertIn('b', taken)

    def test_origins_share(self) -> None:
        """Of two origins that both have work, each gets half."""
        for index in range(10):
            for project in 'xy':
                name = f'{project}{index}'
                self.journal.append(
                    journal.create_event(name, name, project=project)
                )
            name = f'p{index}'
            self.journal.append(
                journal.create_event(name, name, origin=events.Origin.PLATFORM)
            )
        taken = [claim.event.origin for claim in self.claim(10)]
        self.assertEqual(5, taken.count(events.Origin.PLATFORM))

    def test_the_urgent_go_first(self) -> None:
        """A server that waits to boot does not wait for bulk."""
        self.append('a', 'b', 'c')
        urgent = dataclasses.replace(
            journal.create_event('urgent', 'd'),
            operation=events.Operation.CONNECT,
            parameters=events.ConnectParameters(host='h'),
        )
        self.journal.append(urgent)
        self.assertEqual([urgent], [claim.event for claim in self.claim(1)])
