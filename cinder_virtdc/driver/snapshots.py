"""Snapshots of single volumes."""

from __future__ import annotations

from typing import Any

from cinder import exception

from cinder_virtdc.driver.core import cinder_errors
from cinder_virtdc.driver.core import Core
from cinder_virtdc import translate
from virtdc_agent.contract import events


class Snapshots(Core):
    """Snapshots of single volumes."""

    def create_snapshot(self, snapshot: Any) -> None:
        """Have a volume kept as it is now."""
        with cinder_errors():
            self._run(
                snapshot.volume,
                translate.snapshot_parameters(snapshot),
                owner=snapshot,
            )

    def delete_snapshot(self, snapshot: Any) -> None:
        """Have a snapshot removed; one that is gone counts as removed."""
        with cinder_errors(rejected=exception.SnapshotIsBusy):
            self._run(
                snapshot.volume,
                events.DeleteSnapshotParameters(
                    snapshot_id=translate.kept_id(snapshot)
                ),
                owner=snapshot,
            )
