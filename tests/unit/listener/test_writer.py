from __future__ import annotations

from collections.abc import Mapping
from typing import Any
import unittest

from cinder_virtdc.clock import FakeClock
from cinder_virtdc.cloud.fake_cloud import FakeCloud
from cinder_virtdc.cloud.interfaces import CloudVolume
from cinder_virtdc import exceptions
from cinder_virtdc.listener import writer
from cinder_virtdc.listener.writer import Pace
from cinder_virtdc.listener.writer import Writer
from cinder_virtdc.sync import properties
from tests.unit.driver.builders import transition
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import State
from virtdc_agent.contract.events import Transition


class SlowCloud(FakeCloud):
    """Takes its time, in virtual seconds."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.takes_s = 0.0
        self.times: list[float] = []

    def set_properties(
        self, volume_id: str, properties: Mapping[str, str]
    ) -> None:
        self.times.append(self.clock.monotonic())
        self.clock.advance(self.takes_s)
        super().set_properties(volume_id, properties)


class WriterTest(unittest.TestCase):
    def setUp(self) -> None:
        self.clock = FakeClock()
        self.cloud = SlowCloud(self.clock)
        for number in range(1, 4):
            self.add(f'volume-{number}')
        self.writer = Writer(
            self.cloud, clock=self.clock, pace=Pace(min_interval_s=1.0)
        )

    def add(self, volume_id: str, **rest: Any) -> None:
        self.cloud.add(
            CloudVolume(
                **{
                    'volume_id': volume_id,
                    'platform_id': volume_id,
                    'status': 'creating',
                    'size_gib': 1,
                    'properties': {'mine': '1'},
                    **rest,
                }
            )
        )

    def start(self) -> None:
        self.writer.start()
        self.addCleanup(self.writer.stop)

    def shown(self, volume_id: str = 'volume-1') -> dict[str, str]:
        return dict(self.cloud.volumes[volume_id].properties)

    def await_writes(self, *what: str) -> None:
        self.cloud.await_writes(len(what))
        self.assertEqual(
            list(what),
            [f'{volume[-1]} {done}' for volume, done in self.cloud.writes],
        )

    def advance(self, seconds: float) -> None:
        """Let time pass once the writer rests."""
        self.assertTrue(self.clock.await_waiters(1))
        self.clock.advance(seconds)

    def show(
        self, sequence: int, state: State = State.RUNNING, number: int = 1
    ) -> Transition:
        told = transition(sequence, state, volume_id=f'volume-{number}')
        self.writer.show(told)
        return told

    def test_a_first_state_is_written_at_once(self) -> None:
        self.start()
        told = self.show(1, State.WAITING)
        self.await_writes('1 set waiting')
        self.assertEqual(
            {'mine': '1', **properties.properties_of(told)}, self.shown()
        )

    def test_a_burst_collapses_to_the_latest(self) -> None:
        self.show(1, State.WAITING)
        self.show(2)
        self.show(3, State.SUCCESS)
        self.show(2)
        self.start()
        self.await_writes('1 set success')
        self.assertEqual(0, self.writer.backlog)

    def test_ends_go_first_and_keep_their_order(self) -> None:
        self.show(1, State.WAITING, 1)
        self.show(2, State.SUCCESS, 3)
        self.show(3, State.FAILED, 2)
        self.start()
        self.await_writes('3 set success', '2 set failed', '1 set waiting')

    def test_progress_is_written_at_most_so_often(self) -> None:
        self.start()
        self.show(1, State.WAITING)
        self.await_writes('1 set waiting')
        self.show(2)
        self.show(3)
        self.advance(0.9)
        self.await_writes('1 set waiting')
        self.advance(0.1)
        self.await_writes('1 set waiting', '1 set running')
        self.assertEqual('3', self.shown()[properties.SEQUENCE])

    def test_an_end_does_not_wait_for_that(self) -> None:
        self.start()
        self.show(1, State.WAITING)
        self.await_writes('1 set waiting')
        self.show(2, State.SUCCESS)
        self.await_writes('1 set waiting', '1 set success')

    def test_it_rests_as_long_as_it_wrote(self) -> None:
        self.cloud.takes_s = 0.5
        for number in (1, 2, 3):
            self.show(number, State.SUCCESS, number)
        self.start()
        self.advance(0.5)
        self.cloud.await_writes(2)
        self.advance(0.5)
        self.cloud.await_writes(3)
        self.assertEqual([0.0, 1.0, 2.0], self.cloud.times)

    def test_under_load_a_quick_success_is_one_write(self) -> None:
        self.cloud.takes_s = 2.0
        self.start()
        self.show(1, State.SUCCESS, 1)
        self.cloud.await_writes(1)
        self.show(2, State.WAITING, 2)
        self.show(3, State.RUNNING, 2)
        self.show(4, State.SUCCESS, 2)
        self.advance(2.0)
        self.await_writes('1 set success', '2 set success')

    def test_the_reason_of_a_failure_disappears_after_a_success(self) -> None:
        self.start()
        self.show(1, State.FAILED)
        self.await_writes('1 set failed')
        self.assertIn(properties.REASON, self.shown())
        told = self.show(2, State.SUCCESS)
        self.await_writes(
            '1 set failed',
            '1 set success',
            '1 remove virtdc.message',
            '1 remove virtdc.reason',
        )
        self.assertEqual(
            {'mine': '1', **properties.properties_of(told)}, self.shown()
        )
        self.show(3, State.SUCCESS)
        self.cloud.await_writes(5)

    def test_what_is_known_to_be_outdated_is_removed(self) -> None:
        self.add('volume-1', properties={'virtdc.reason': 'x'})
        self.writer.show(transition(2, State.SUCCESS), ['virtdc.reason'])
        self.start()
        self.await_writes('1 set success', '1 remove virtdc.reason')

    def test_what_is_outdated_survives_being_overtaken(self) -> None:
        self.add('volume-1', properties={'virtdc.reason': 'x'})
        self.writer.show(transition(2), ['virtdc.reason'])
        self.show(3, State.SUCCESS)
        self.start()
        self.await_writes('1 set success', '1 remove virtdc.reason')

    def test_a_volume_that_is_gone_is_dropped_and_not_asked_again(
        self,
    ) -> None:
        del self.cloud.volumes['volume-1']
        self.start()
        self.show(1)
        self.await_writes('1 set running')
        self.show(2, State.SUCCESS)
        self.show(3, State.SUCCESS, 2)
        self.await_writes('1 set running', '2 set success')
        self.add('volume-1')
        self.writer.learn([('volume-1', 'volume-1')])
        self.show(4, State.SUCCESS)
        self.cloud.await_writes(3)

    def test_how_many_are_remembered_as_gone_is_bounded(self) -> None:
        self.start()
        for number in range(20):
            self.writer.show(transition(1, volume_id=f'gone-{number}'))
        self.cloud.await_writes(20)
        self.assertLessEqual(len(self.writer._gone), writer.MAX_GONE)

    def test_a_deleted_volume_is_dropped(self) -> None:
        self.show(1)
        self.writer.show(
            transition(2, State.SUCCESS, operation=Operation.DELETE)
        )
        self.assertEqual(0, self.writer.backlog)

    def test_a_migrated_volume(self) -> None:
        self.writer.learn([('volume-1', 'volume-2')])
        self.show(1, State.SUCCESS)
        self.start()
        self.await_writes('2 set success')

    def test_the_old_data_of_a_migrated_volume_is_not_shown(self) -> None:
        self.writer.learn([('data-1', 'volume-1')])
        self.writer.show(
            transition(1, operation=Operation.DELETE, volume_id='volume-1')
        )
        self.assertEqual(0, self.writer.backlog)
        self.writer.learn([('volume-1', 'volume-1')])
        self.show(2)
        self.assertEqual(1, self.writer.backlog)

    def test_not_now_is_later(self) -> None:
        self.cloud.failures = [exceptions.NotNow('uploading')] * 2
        self.start()
        self.show(1, State.SUCCESS)
        self.await_writes('1 set success')
        self.show(2, State.SUCCESS, 2)
        self.advance(1)
        self.cloud.await_writes(3)
        self.advance(2)
        self.cloud.await_writes(4)
        self.assertEqual('success', self.shown()[properties.STATE])

    def test_what_is_later_replaces_what_was_refused(self) -> None:
        self.cloud.failures = [exceptions.NotNow('uploading')]
        self.start()
        self.show(1)
        self.await_writes('1 set running')
        self.show(2, State.SUCCESS)
        self.await_writes('1 set running', '1 set success')

    def test_an_api_that_is_away_is_left_alone_for_a_while(self) -> None:
        self.cloud.failures = [
            exceptions.CloudUnavailable('down'),
            exceptions.CloudUnavailable('still down'),
        ]
        with self.assertLogs('cinder_virtdc.listener.writer', 'INFO') as logs:
            self.start()
            self.show(1, State.SUCCESS)
            self.await_writes('1 set success')
            self.show(2, State.SUCCESS, 2)
            self.advance(1)
            self.cloud.await_writes(2)
            self.advance(2)
            self.cloud.await_writes(4)
            self.assertTrue(self.clock.await_waiters(0))
            self.writer.stop()
        self.assertEqual(
            ['WARNING', 'INFO'], [one.levelname for one in logs.records]
        )
        self.assertEqual('success', self.shown()['virtdc.state'])
        self.assertEqual('success', self.shown('volume-2')['virtdc.state'])

    def test_a_missing_right_is_not_asked_for_every_second(self) -> None:
        self.cloud.failures = [exceptions.CloudForbids('403')]
        with self.assertLogs('cinder_virtdc.listener.writer', 'WARNING'):
            self.start()
            self.show(1, State.SUCCESS)
            self.cloud.await_writes(1)
            self.advance(59)
            self.assertEqual(1, len(self.cloud.writes))
            self.advance(1)
            self.cloud.await_writes(2)

    def test_a_bug_does_not_end_it(self) -> None:
        self.cloud.failures = [RuntimeError('a bug')]  # type: ignore
        with self.assertLogs('cinder_virtdc.listener.writer', 'ERROR'):
            self.start()
            self.show(1, State.SUCCESS)
            self.cloud.await_writes(1)
            self.show(1, State.SUCCESS, 2)
            self.cloud.await_writes(2)
        self.advance(1)
        self.cloud.await_writes(3)

    def test_stop_leaves_the_rest_to_the_next_start(self) -> None:
        self.cloud.failures = [exceptions.CloudUnavailable('down')]
        with self.assertLogs('cinder_virtdc.listener.writer', 'WARNING'):
            self.start()
            self.show(1, State.SUCCESS)
            self.cloud.await_writes(1)
            self.assertTrue(self.clock.await_waiters(1))
            self.writer.stop()
        self.assertEqual(1, self.writer.backlog)
