"""What a journal must hold of events that come, and of those withdrawn."""

from __future__ import annotations

import threading

from virtdc_agent.conformance import journal
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import State
from virtdc_agent import exceptions
from virtdc_agent import model


def edit_event(event_id: str, volume_id: str) -> events.Event:
    """Return an event that gives a volume its own id as a name."""
    return events.Event(
        event_id=event_id,
        operation=events.Operation.EDIT,
        volume_id=volume_id,
        origin=events.Origin.PLATFORM,
        parameters=events.EditParameters(name=event_id),
        created_at=journal.NOW,
    )


class AcceptingRules(journal.JournalCase):
    """The rules; see ``journal_rules``."""

    def made(
        self, volume_id: str, size_bytes: int = journal.GIB
    ) -> events.Volume:
        """Have a volume, or have it be another; return its record."""
        self.journal.settle(
            self.claim_one(volume_id),
            model.Outcome(
                state=State.SUCCESS, change=journal.put(volume_id, size_bytes)
            ),
        )
        return self.journal.get_volume(volume_id)

    def test_append_makes_it_waiting(self) -> None:
        """An accepted event waits, and can be read back as it was."""
        (event,) = self.append('v')
        transition = self.latest(event.event_id)
        self.assertIs(State.WAITING, transition.state)
        self.assertEqual(0, transition.attempt)
        self.assertEqual(event, self.journal.get_event(event.event_id))

    def test_append_again_changes_nothing(self) -> None:
        """The same event twice is one, whatever has become of it."""
        (event,) = self.append('v')
        for step in (
            lambda: None,
            lambda: self.journal.settle(self.claim(1)[0], journal.SUCCESS),
        ):
            step()
            before = self.latest(event.event_id)
            self.assertEqual(before, self.journal.append(event))
        self.assertEqual(3, len(self.history()))

    def test_append_of_another_content(self) -> None:
        """An id that is taken by another event is refused."""
        self.journal.append(journal.create_event('e', 'v'))
        with self.assertRaises(exceptions.EventConflict):
            self.journal.append(journal.create_event('e', 'w'))
        self.assertEqual('v', self.journal.get_event('e').volume_id)

    def test_no_more_wait_than_are_allowed(self) -> None:
        """A journal that is full says so, and still knows what it has."""
        known, _ = self.append('a', 'b')
        other = journal.create_event('other', 'c')
        with self.assertRaises(exceptions.JournalUnavailable):
            self.journal.append(other, max_waiting=2)
        self.assertEqual(2, self.journal.count().waiting)
        again = self.journal.append(known, max_waiting=2)
        self.assertEqual(known.event_id, again.event_id)
        self.claim(1)
        self.journal.append(other, max_waiting=2)
        self.assertEqual(2, self.journal.count().waiting)

    def test_cancel_of_a_waiting_event(self) -> None:
        """It fails at once, and makes way."""
        first, second, third = self.append('v', 'v', 'v')
        for event in (second, first):
            ended = self.journal.cancel(event.event_id)
            self.assertIs(Reason.CANCELLED, ended.reason)
        (claim,) = self.claim(10)
        self.assertEqual(third, claim.event)

    def test_cancel_in_the_middle_lets_nobody_overtake(self) -> None:
        """Who waits behind the first still waits for the first."""
        _, second, third = self.append('v', 'v', 'v')
        (claim,) = self.claim(10)
        self.journal.cancel(second.event_id)
        self.assertEqual([], self.claim(10))
        self.journal.settle(claim, journal.SUCCESS)
        self.assertEqual(third, self.claim(10)[0].event)

    def test_cancel_of_an_event_that_waits_again(self) -> None:
        """What an attempt may have left is not forgotten by cancelling."""
        claim = self.claim_one()
        self.journal.release(claim)
        event_id = claim.event.event_id
        self.assertIs(State.WAITING, self.journal.cancel(event_id).state)
        (again,) = self.claim(1)
        self.assertEqual([again], list(self.journal.get_cancelled([again])))

    def test_cancel_of_a_running_event(self) -> None:
        """The wish is noted for whoever holds it."""
        claim, other = self.claim_one('v'), self.claim_one('w')
        self.assertEqual([], list(self.journal.get_cancelled([claim, other])))
        self.assertIs(
            State.RUNNING, self.journal.cancel(claim.event.event_id).state
        )
        self.assertEqual(
            [claim], list(self.journal.get_cancelled([claim, other]))
        )

    def test_cancel_of_an_ended_event(self) -> None:
        """It stays as it is."""
        claim = self.claim_one()
        ended = self.journal.settle(claim, journal.SUCCESS)
        self.assertEqual(ended, self.journal.cancel(claim.event.event_id))

    def test_cancel_of_nothing(self) -> None:
        """An unknown event is an error."""
        with self.assertRaises(exceptions.EventNotFound):
            self.journal.cancel('unknown')

    # append of what is about a volume as it is

    def test_about_a_volume_as_it_is(self) -> None:
        """It is accepted; and it is the same when it is sent again."""
        known = self.made('v')
        event = edit_event('edit', 'v')
        accepted = self.journal.append(event, unchanged=known)
        self.assertIs(State.WAITING, accepted.state)
        again = self.journal.append(event, unchanged=known)
        self.assertEqual(accepted, again)

    def test_about_a_volume_as_it_was(self) -> None:
        """It is refused, and nothing is left of it."""
        known = self.made('v', 1)
        self.made('v', 2)
        for number, change in enumerate(
            (None, model.RemoveVolume(volume_id='v'))
        ):
            if change is not None:
                self.journal.settle(
                    self.claim_one('v'),
                    model.Outcome(state=State.SUCCESS, change=change),
                )
            event = edit_event(f'edit{number}', 'v')
            with self.assertRaises(exceptions.VolumeChanged):
                self.journal.append(event, unchanged=known)
            self.assertEqual({}, self.journal.get_latest([event.event_id]))
        self.assertEqual([], self.claim(10))

    def test_about_a_volume_that_is_being_changed(self) -> None:
        """It is refused until what is open has ended, whatever it does."""
        known = self.made('v')
        event = edit_event('edit', 'v')

        def refused() -> None:
            with self.assertRaises(exceptions.VolumeChanging):
                self.journal.append(event, unchanged=known)

        self.append('v')
        refused()
        (claim,) = self.claim(1)
        refused()
        self.journal.fence_off(claim, journal.FAILURE)
        refused()
        self.journal.unfence(claim, None)
        self.append('other')
        self.journal.append(event, unchanged=known)

    def test_of_many_about_the_same_one_is_accepted(self) -> None:
        """However close together they come."""
        known = self.made('v')
        accepted: list[str] = []
        refused: list[BaseException] = []

        def edit(name: str) -> None:
            event = edit_event(name, 'v')
            try:
                self.journal.append(event, unchanged=known)
            except BaseException as exc:
                refused.append(exc)
            else:
                accepted.append(name)

        threads = [
            threading.Thread(target=edit, args=(f'edit{index}',))
            for index in range(self.writers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(
            {exceptions.VolumeChanging}, {type(one) for one in refused}
        )
        self.assertEqual((1, self.writers - 1), (len(accepted), len(refused)))
        (claim,) = self.claim(10)
        self.assertEqual(accepted, [claim.event.event_id])
