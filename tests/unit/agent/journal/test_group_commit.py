from __future__ import annotations

import threading
import unittest

from virtdc_agent.journal.group_commit import GroupCommit

WAIT_S = 10.0


class TestGroupCommit(unittest.TestCase):
    def test_who_comes_alone_is_served_at_once(self) -> None:
        def commit(requests) -> None:
            for request in requests:
                request.result = request.change()

        self.assertEqual(7, GroupCommit(commit).run(lambda: 7))

    def test_those_who_come_meanwhile_share_the_next(self) -> None:
        entered, go_on = threading.Event(), threading.Event()
        sizes: list[int] = []

        def commit(requests) -> None:
            sizes.append(len(requests))
            if len(sizes) == 1:
                entered.set()
                go_on.wait(WAIT_S)
            for request in requests:
                request.result = request.change()

        group = GroupCommit(commit)
        results: list[int] = []
        threads = [
            threading.Thread(
                target=lambda n=n: results.append(group.run(lambda: n))
            )
            for n in range(9)
        ]
        threads[0].start()
        entered.wait(WAIT_S)
        for thread in threads[1:]:
            thread.start()
        while len(group._queue) < 8:
            threading.Event().wait(0.001)
        go_on.set()
        for thread in threads:
            thread.join(WAIT_S)
        self.assertEqual([1, 8], sizes)
        self.assertEqual(list(range(9)), sorted(results))

    def test_a_failed_commit_fails_all_in_it_and_no_later_one(self) -> None:
        broken = [True]

        def commit(requests) -> None:
            if broken.pop():
                raise OSError('disk')
            for request in requests:
                request.result = request.change()

        broken.insert(0, False)
        group = GroupCommit(commit)
        with self.assertRaisesRegex(OSError, 'disk'):
            group.run(lambda: 1)
        self.assertEqual(2, group.run(lambda: 2))
