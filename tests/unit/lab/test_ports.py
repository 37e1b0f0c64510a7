"""Ports: free, ours, and outside the kernel's own range."""

from __future__ import annotations

from collections.abc import Callable
import itertools
import socket
import unittest

from tools.lab import errors
from tools.lab import ports

LINUX = (32768, 60999)


def in_order() -> Callable[[range], int]:
    """Return a choice that takes the first, the second, ... port."""
    counter = itertools.count()
    return lambda candidates: candidates[next(counter) % len(candidates)]


class Candidates(unittest.TestCase):
    def test_are_below_the_kernels_own(self) -> None:
        found = ports.candidates(LINUX)
        self.assertEqual((20000, 32767), (found.start, found.stop - 1))

    def test_are_above_it_when_it_begins_low(self) -> None:
        found = ports.candidates((1024, 60999))
        self.assertEqual((61000, 65535), (found.start, found.stop - 1))

    def test_are_within_it_when_it_is_all(self) -> None:
        self.assertGreater(len(ports.candidates((1024, 65535))), 1000)

    def test_range_is_read_as_the_kernel_writes_it(self) -> None:
        self.assertEqual(LINUX, ports.ephemeral_range('32768\t60999\n'))


class Taking(unittest.TestCase):
    def ports(self, **options: object) -> ports.Ports:
        found = ports.Ports(ephemeral=LINUX, **options)  # type: ignore[arg-type]
        self.addCleanup(found.release)
        return found

    def test_never_gives_a_port_twice(self) -> None:
        one = self.ports(choose=in_order())
        self.assertEqual(20, len({one.take() for _ in range(20)}))

    def test_two_labs_never_get_the_same(self) -> None:
        one = self.ports(choose=in_order())
        two = self.ports(choose=in_order())
        first = {one.take() for _ in range(5)}
        self.assertFalse(first & {two.take() for _ in range(5)})

    def test_a_released_port_can_be_taken_again(self) -> None:
        one = self.ports(choose=in_order())
        port = one.take()
        one.release()
        again = self.ports(choose=lambda _: port)
        self.assertEqual(port, again.take())

    def test_skips_ports_in_use(self) -> None:
        one = self.ports(choose=in_order(), free=lambda port: port % 100 == 99)
        self.assertEqual(99, one.take() % 100)

    def test_gives_up_when_nothing_is_free(self) -> None:
        one = self.ports(free=lambda port: False)
        with self.assertRaisesRegex(errors.LabError, 'No free port'):
            one.take()


class Free(unittest.TestCase):
    def test_a_listener_makes_a_port_taken(self) -> None:
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
            self.assertFalse(ports.is_free(port))
        self.assertTrue(ports.is_free(port))
