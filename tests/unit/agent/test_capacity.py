"""The promise of room, by tables and by a law."""

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies

from virtdc_agent import capacity
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import model

GIB = 1024**3
THIN, THICK = Provisioning.THIN, Provisioning.THICK


def space(
    total: int, free: int, *, ratio: float = 1.0, reserved: int = 0
) -> model.StorageSpace:
    return model.StorageSpace(
        total_bytes=total * GIB,
        free_bytes=free * GIB,
        max_over_subscription_ratio=ratio,
        reserved_percentage=reserved,
    )


class TestCheckRoom(unittest.TestCase):
    def test_what_fits_and_what_does_not(self) -> None:
        for storage, provisioned, most_thin, most_thick in (
            (space(100, 100), 0, 100, 100),
            (space(100, 100), 40, 60, 60),
            (space(100, 100, ratio=20), 0, 2000, 100),
            (space(100, 30, ratio=20), 1990, 10, 10),
            (space(100, 30, ratio=20), 0, 2000, 30),
            (space(100, 100, reserved=10), 0, 90, 90),
            (space(100, 30, ratio=2, reserved=10), 100, 80, 20),
            (space(100, 5, reserved=10), 0, 90, 0),
            (space(100, 100), 200, 0, 0),
            (space(100, 100, reserved=100), 0, 0, 0),
        ):
            for provisioning, most in ((THIN, most_thin), (THICK, most_thick)):
                with self.subTest(f'{storage} {provisioned} {provisioning}'):
                    arguments = storage, provisioned * GIB
                    capacity.check_room(*arguments, most * GIB, provisioning)
                    with self.assertRaises(exceptions.EventRejected):
                        capacity.check_room(
                            *arguments, most * GIB + 1, provisioning
                        )

    def test_sentence_says_how_much_would_fit(self) -> None:
        with self.assertRaisesRegex(
            exceptions.EventRejected,
            'no room for 5000 GiB: 812 GiB of 1000 GiB can still be promised',
        ):
            capacity.check_room(space(1000, 900), 188 * GIB, 5000 * GIB, THIN)
        with self.assertRaisesRegex(
            exceptions.EventRejected,
            r'no room for 1\.00 GiB \(1073741825 bytes\) of thick '
            'provisioning: 1 GiB of 10 GiB are unused',
        ):
            capacity.check_room(space(10, 1), 0, GIB + 1, THICK)

    @given(
        total=strategies.integers(0, 2**62),
        free_percent=strategies.integers(0, 100),
        ratio=strategies.floats(1.0, 1000.0),
        reserved=strategies.integers(0, 100),
        provisioned=strategies.integers(0, 2**62),
        extra=strategies.integers(1, 2**62),
        provisioning=strategies.sampled_from(Provisioning),
    )
    def test_whatever_is_admitted_can_be_kept(
        self,
        total: int,
        free_percent: int,
        ratio: float,
        reserved: int,
        provisioned: int,
        extra: int,
        provisioning: Provisioning,
    ) -> None:
        storage = model.StorageSpace(
            total_bytes=total,
            free_bytes=total * free_percent // 100,
            max_over_subscription_ratio=ratio,
            reserved_percentage=reserved,
        )
        try:
            capacity.check_room(storage, provisioned, extra, provisioning)
        except exceptions.EventRejected:
            return
        usable = capacity.get_usable(storage)
        self.assertLessEqual(provisioned + extra, usable * ratio)
        if provisioning is THICK:
            self.assertLessEqual(extra, storage.free_bytes - (total - usable))
