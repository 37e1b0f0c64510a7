"""Tests that are not run, each with its reason.

Only what cannot pass whatever the driver does. What tempest skips by itself
is not in this list.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import re


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Excluded:
    """A test that is not run.

    :param test: its whole name.
    :param native_only: it is run if cinder-volume is under eventlet.
    """

    test: str
    reason: str
    native_only: bool = False


EXCLUDED = (
    Excluded(
        test='cinder_tempest_plugin.api.volume.test_volume_backup.'
        'VolumesBackupsTest.test_incremental_backup',
        reason='it starts a server, and does not ask whether there is Nova',
    ),
)


def excluded(regex: str, *, native_threads: bool) -> Sequence[Excluded]:
    """Return what is left out of the tests that an expression chooses."""
    return [
        one
        for one in EXCLUDED
        if re.search(regex, one.test)
        and (native_threads or not one.native_only)
    ]
