"""What a journal must hold that several agents share.

As ``journal``, and a subclass must also be able to ``end_lease``.
"""

from __future__ import annotations

import threading
from typing import Any
import unittest

from virtdc_agent.conformance import journal
from virtdc_agent.conformance.journal_accepting import edit_event
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.scheduling import Lane


class SharingRules(journal.JournalCase):
    """The rules. ``self.journal`` is one agent, ``self.other`` another."""

    def end_lease(self, storage: Any, agent: str) -> None:
        """Have an agent's lease end now, as if it had not been renewed."""
        raise unittest.SkipTest('the rules are run by subclasses')

    def setUp(self) -> None:
        """Have two agents join."""
        super().setUp()
        self.other = self.open('other')
        self.other.join()

    def die(self, agent: str = 'agent') -> model.Takeover:
        """Have an agent's lease end, and the other one look after it."""
        self.end_lease(self.storage, agent)
        return self.other.take_over()

    def test_an_event_is_taken_once(self) -> None:
        """What one agent has claimed the other does not get."""
        made = self.append('a', 'b', 'c')
        taken = [*self.claim(2), *self.other.claim(Lane.QUICK, 2)]
        self.assertEqual(made, [claim.event for claim in taken])

    def test_a_volume_is_closed_to_all(self) -> None:
        """No agent begins what another's operation stands before."""
        first, second = self.append('v', 'v')
        (claim,) = self.claim(5)
        self.assertEqual([], list(self.other.claim(Lane.QUICK, 5)))
        self.journal.settle(claim, journal.SUCCESS)
        (claim,) = self.other.claim(Lane.QUICK, 5)
        self.assertEqual(second, claim.event)

    def test_of_what_agents_know_alike_one_event_is_accepted(self) -> None:
        """Of a volume as it was known; whoever is the first."""
        self.journal.settle(
            self.claim_one(),
            model.Outcome(state=State.SUCCESS, change=journal.put('v')),
        )
        known = self.journal.get_volume('v')
        accepted: list[str] = []
        refused: list[BaseException] = []

        def edit(shared: interfaces.Journal, name: str) -> None:
            try:
                shared.append(edit_event(name, 'v'), unchanged=known)
            except BaseException as exc:
                refused.append(exc)
            else:
                accepted.append(name)

        threads = [
            threading.Thread(target=edit, args=(shared, f'{name}{number}'))
            for number in range(self.writers // 2)
            for name, shared in (('a', self.journal), ('b', self.other))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(
            {exceptions.VolumeChanging}, {type(one) for one in refused}
        )
        self.assertEqual(1, len(accepted))

    def test_the_living_are_left_alone(self) -> None:
        """Nothing is taken from an agent whose lease lasts."""
        claim = self.claim_one()
        self.assertEqual(model.Takeover(), self.other.take_over())
        self.journal.settle(claim, journal.SUCCESS)

    def test_the_dead_lose_what_ran(self) -> None:
        """It waits again, and what its former holder writes is refused."""
        claim = self.claim_one()
        taken = self.die()
        self.assertEqual(['agent'], list(taken.agents))
        (transition,) = taken.returned
        self.assertEqual(
            (claim.event.event_id, State.WAITING),
            (transition.event_id, transition.state),
        )
        again = journal.suspect_of(self.other)
        for write in (
            lambda: self.journal.settle(claim, journal.SUCCESS),
            lambda: self.journal.release(claim),
            lambda: self.journal.retry(claim),
            lambda: self.journal.fence_off(claim, journal.FAILURE),
            lambda: self.journal.record_progress(claim, model.Progress()),
        ):
            with self.assertRaises(exceptions.LeaseLost):
                write()
        self.assertGreater(again.fence, claim.fence)
        self.other.settle(again, journal.SUCCESS)

    def test_the_dead_keep_nothing_closed(self) -> None:
        """What was fenced off by an agent that is gone is open again."""
        claim = self.claim_one()
        (following,) = self.append('v')
        self.journal.fence_off(claim, journal.FAILURE)
        self.assertEqual([], list(self.other.claim(Lane.QUICK, 5)))
        self.die()
        (taken,) = self.other.claim(Lane.QUICK, 5)
        self.assertEqual(following, taken.event)

    def test_the_dead_take_nothing(self) -> None:
        """Who has lost its lease has to renew it before it claims."""
        self.append('v')
        self.end_lease(self.storage, 'agent')
        with self.assertRaises(exceptions.LeaseLost):
            self.claim(1)
        self.assertTrue(self.journal.renew().is_new)
        self.assertFalse(self.journal.renew().is_new)
        self.assertEqual(1, len(self.claim(1)))

    def test_renewal_keeps_what_is_held(self) -> None:
        """As long as nobody has taken it."""
        claim = self.claim_one()
        self.end_lease(self.storage, 'agent')
        self.journal.renew()
        self.assertEqual(model.Takeover(), self.other.take_over())
        self.journal.settle(claim, journal.SUCCESS)

    def test_a_second_life_ends_the_first(self) -> None:
        """Two agents of one name do not go on beside each other."""
        claim = self.claim_one()
        second = self.open('agent')
        second.join()
        for call in (
            lambda: self.journal.renew(),
            lambda: self.claim(1),
            lambda: self.journal.settle(claim, journal.SUCCESS),
        ):
            with self.assertRaises(exceptions.LeaseLost):
                call()
        second.renew()

    def test_who_leaves_is_not_waited_for(self) -> None:
        """What a leaving agent still has is the others' at once."""
        self.claim_one()
        self.journal.leave()
        self.assertEqual(1, len(self.other.take_over().returned))

    def test_what_kills_is_given_up(self) -> None:
        """After three deaths of one event it is lost; the others go on."""
        guilty, innocent = self.append('guilty', 'innocent')
        self.assertEqual(2, len(self.claim(5)))
        self.assertEqual(2, len(self.die().returned))
        lost: list[str] = []
        deaths = 1
        while not lost and deaths < 10:
            self.journal.renew()
            claim = journal.suspect_of(self.journal)
            if claim.event == innocent:
                self.journal.settle(claim, journal.SUCCESS)
                continue
            deaths += 1
            lost = [one.event_id for one in self.die().lost]
        self.assertEqual(([guilty.event_id], 3), (lost, deaths))
        latest = self.other.get_latest([guilty.event_id, innocent.event_id])
        self.assertIs(Reason.LOST, latest[guilty.event_id].reason)
        self.journal.renew()
        if latest[innocent.event_id].state is not State.SUCCESS:
            claim = journal.suspect_of(self.journal)
            self.assertEqual((innocent, 1), (claim.event, claim.losses))
        self.assertEqual(0, self.other.count().suspects)

    def test_fences_of_all_that_goes_on(self) -> None:
        """Of every agent, running or given up; not of what is over."""
        over, running = self.claim_one('a'), self.claim_one('b')
        given_up = self.claim_one('c')
        self.append('d')
        (others,) = self.other.claim(Lane.QUICK, 1)
        self.journal.settle(over, journal.SUCCESS)
        self.journal.fence_off(given_up, journal.FAILURE)
        self.assertEqual(
            {running.fence, given_up.fence, others.fence},
            set(self.journal.get_fences()),
        )

    def test_one_publishes(self) -> None:
        """One agent at a time, and another when that one is gone."""
        self.append('a')
        first, second = self.journal, self.other
        self.assertEqual(1, len(first.get_unpublished(10)))
        self.assertEqual([], list(second.get_unpublished(10)))
        self.end_lease(self.storage, 'agent')
        self.assertEqual(1, len(second.get_unpublished(10)))
        first.renew()
        self.assertEqual([], list(first.get_unpublished(10)))
        second.leave()
        self.assertEqual(1, len(first.get_unpublished(10)))
