"""What every backend must hold that copies volumes.

With the hooks of ``acts.ActRules``, two of which are for this suite alone:
``place_strange_snapshot`` and ``is_strange_snapshot_there``. A rule whose
operation is not declared is skipped and names it.
"""

from __future__ import annotations

from virtdc_agent.conformance.acts import VOLUME
from virtdc_agent.conformance.clones import CloneRules
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.conformance.copy_acts import delete_snapshot_of_first
from virtdc_agent.conformance.copy_acts import DROP
from virtdc_agent.conformance.copy_acts import LATER_MARK
from virtdc_agent.conformance.copy_acts import revert_first
from virtdc_agent.conformance.copy_acts import SNAPSHOT
from virtdc_agent.conformance.copy_acts import snapshot_first
from virtdc_agent.conformance.moves import MoveRules
from virtdc_agent.conformance.snapshots import SnapshotRules
from virtdc_agent.contract.events import Operation
from virtdc_agent import exceptions
from virtdc_agent import interfaces


class CopyRules(SnapshotRules, CloneRules, MoveRules):
    """The rules. Not run by itself: ``make_backend`` is for subclasses."""

    # Sweeping and fencing.

    def test_sweep_leaves_alone_what_is_copied(self) -> None:
        """Operations of other agents are not interrupted by it."""
        for act in self.acts():
            backend = self._backend_for(act)
            context = FakeContext('copy')
            swept: list[str] = []

            def look(
                backend: interfaces.Backend = backend,
                context: FakeContext = context,
                swept: list[str] = swept,
            ) -> None:
                swept.extend(backend.sweep(lambda: {context.fence}))

            context.before_commit = look
            act.operate(backend, context)
            self.assertEqual([], swept, act.name)
            self.assertEqual(act.after, self.look(backend), act.name)

    def test_the_swept_copy_cannot_be_published(self) -> None:
        """What was taken from an operation it does not make visible."""
        for act in self.acts():
            if act is DROP:
                # It has made nothing that could be taken from it.
                continue
            backend = self._backend_for(act)
            context = FakeContext('copy')

            def sweep(backend: interfaces.Backend = backend) -> None:
                backend.sweep(tuple)

            context.before_commit = sweep
            with self.assertRaises(
                exceptions.OperationCancelled, msg=act.name
            ):
                act.operate(backend, context)
            self.assertEqual(act.before, self.look(backend), act.name)
            act.operate(backend, FakeContext('copy', 2))
            self.assertEqual(act.after, self.look(backend), act.name)

    def test_the_overtaken_brings_no_snapshot_back(self) -> None:
        """Nor does it take away what was made since, nor undo a revert."""
        backend = self.having(Operation.SNAPSHOT)
        late_take, late_drop = FakeContext('late'), FakeContext('later')
        snapshot_first(backend, FakeContext('late', 2))
        delete_snapshot_of_first(backend, FakeContext('delete'))
        with self.assertRaises(exceptions.OperationCancelled):
            snapshot_first(backend, late_take)
        self.assertIsNone(backend.find_snapshot(SNAPSHOT))
        late_revert = FakeContext('latest')
        snapshot_first(backend, FakeContext('another'))
        with self.assertRaises(exceptions.OperationCancelled):
            delete_snapshot_of_first(backend, late_drop)
        self.assertIsNotNone(backend.find_snapshot(SNAPSHOT))
        if Operation.REVERT in backend.operations:
            self.write(backend, VOLUME, 0, LATER_MARK)
            with self.assertRaises(exceptions.OperationCancelled):
                revert_first(backend, late_revert)
            self.assertEqual(
                LATER_MARK, self.read(backend, VOLUME, 0, len(LATER_MARK))
            )
