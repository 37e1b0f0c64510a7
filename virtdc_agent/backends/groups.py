"""Snapshots of several volumes that are files: all of one instant, or none.

Nobody writes to the volumes, so that copies which are made one after the
other are of one instant. All are made as temporary files first, and durable,
before the first gets its name; what may still fail then is rare, and taken
back. Who is killed between two names leaves some of the snapshots: the next
attempt finds them, and is either the one that completes the group, without
copying those again, or the one that takes them back.

The same fence stands for all volumes of the group: see ``turn``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import logging

from virtdc_agent.backends.copies import Copies
from virtdc_agent.backends.folder import OpenFolder
from virtdc_agent.backends import layout
from virtdc_agent.backends import publishing
from virtdc_agent.backends.turn import Turn
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)


def snapshot_group(
    folder: OpenFolder,
    copies: Copies,
    snapshots: Mapping[str, str],
    context: interfaces.OperationContext,
) -> Sequence[model.SnapshotFacts]:
    """Take a snapshot of each volume; see the interface."""
    pairs = sorted(snapshots.items())
    try:
        missing = [
            pair
            for pair in pairs
            if not copies.adopt_snapshot(folder, *pair, context)
        ]
        if len(missing) < len(pairs):
            # Some can be seen already: this is beyond its commit.
            context.begin_commit()
        if missing:
            _make(
                *(folder, copies, missing, context),
                is_committed=len(missing) < len(pairs),
            )
        return [_found(folder, copies, one) for _, one in pairs]
    except Exception:
        _take_back(folder, pairs, context)
        raise


def _make(
    folder: OpenFolder,
    copies: Copies,
    pairs: Sequence[tuple[str, str]],
    context: interfaces.OperationContext,
    *,
    is_committed: bool,
) -> None:
    """Prepare all, then give them their names."""
    sizes = [copies.size_of(folder, volume_id) for volume_id, _ in pairs]
    done = 0
    with contextlib.ExitStack() as stack:
        prepared = []
        for (volume_id, snapshot_id), size_bytes in zip(
            pairs, sizes, strict=True
        ):
            part = _Part(context, done, size_bytes, sum(sizes))
            prepared.append(
                stack.enter_context(
                    copies.prepared_snapshot(
                        folder, volume_id, snapshot_id, part
                    )
                )
            )
            done += size_bytes
        publishing.publish_all(
            folder, prepared, context, is_committed=is_committed
        )


def _found(
    folder: OpenFolder, copies: Copies, snapshot_id: str
) -> model.SnapshotFacts:
    facts = copies.find_snapshot(folder, snapshot_id)
    if facts is None:
        raise exceptions.OperationCancelled('it was deleted since')
    return facts


def _take_back(
    folder: OpenFolder,
    pairs: Sequence[tuple[str, str]],
    context: interfaces.OperationContext,
) -> None:
    """Remove what this event has made, in whichever attempt."""
    undoing = _Undoing(context)
    for volume_id, snapshot_id in pairs:
        place = layout.snapshot(snapshot_id)
        try:
            publishing.retract(
                folder,
                Turn(folder.fences, volume_id, undoing, also=(place.label,)),
                place,
                layout.scratch_name(
                    volume_id, context.event_id, context.fence
                ),
                context.event_id,
                snapshot_of=volume_id,
            )
        except exceptions.OperationCancelled:
            # A later operation has begun: what is there is for it to judge.
            continue
        except (OSError, exceptions.AgentError):
            LOG.warning(
                'Event %s failed, and its %s could not be taken back: '
                'delete it to free its space.',
                context.event_id,
                place.words,
                exc_info=True,
            )


class _Around(interfaces.OperationContext):
    """Another operation's context, for a part of it."""

    def __init__(self, context: interfaces.OperationContext) -> None:
        self._context = context

    @property
    def event_id(self) -> str:
        """See the interface."""
        return self._context.event_id

    @property
    def attempt(self) -> int:
        """See the interface."""
        return self._context.attempt

    @property
    def fence(self) -> int:
        """See the interface."""
        return self._context.fence

    def check(self) -> None:
        """See the interface."""
        self._context.check()

    def begin_commit(self) -> None:
        """See the interface."""
        self._context.begin_commit()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """See the interface."""
        self._context.on_cancel(callback)

    def report(
        self,
        bytes_done: int | None = None,
        bytes_total: int | None = None,
        phase: str = '',
    ) -> None:
        """See the interface."""
        self._context.report(bytes_done, bytes_total, phase)


class _Part(_Around):
    """Tells how far one of several copies is as a share of them all."""

    def __init__(
        self,
        context: interfaces.OperationContext,
        done_before: int,
        size_bytes: int,
        total_bytes: int,
    ) -> None:
        super().__init__(context)
        self._done_before = done_before
        self._size_bytes = size_bytes
        self._total_bytes = total_bytes

    def report(
        self,
        bytes_done: int | None = None,
        bytes_total: int | None = None,
        phase: str = '',
    ) -> None:
        """See the interface."""
        if bytes_done is None or not bytes_total:
            self._context.report(phase=phase)
            return
        part = self._size_bytes * bytes_done // bytes_total
        self._context.report(
            self._done_before + part, self._total_bytes, phase
        )


class _Undoing(_Around):
    """The same operation when it takes back: it is not interrupted."""

    def check(self) -> None:
        """Go on."""
