"""What a backend does that copies volumes, as acts for the rules."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import unittest

from virtdc_agent.conformance import acts
from virtdc_agent.conformance.acts import Act
from virtdc_agent.conformance.acts import create_first
from virtdc_agent.conformance.acts import MARK
from virtdc_agent.conformance.acts import MIB
from virtdc_agent.conformance.acts import VOLUME
from virtdc_agent.conformance.context import FakeContext
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import interfaces
from virtdc_agent import model

SNAPSHOT = 'moment'
COPY = 'copy'
OTHER = 'other'
LATER_MARK = b'what came afterwards'
PART = 4096

NO_NAMES = (
    *('', '.', '..', '../out', '/out', 'a/b', 'a\\b', 'a\0b', ' a', 'a\n'),
    *('-a', '.a', '@a', 'a b', 'ä', 'a' * 65, '$(a)', 'a:b'),
)


def snapshot_first(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> model.SnapshotFacts:
    """Keep the volume of most rules."""
    return backend.snapshot(VOLUME, SNAPSHOT, context)


def delete_snapshot_of_first(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> None:
    """Remove the snapshot of most rules."""
    backend.delete_snapshot(VOLUME, SNAPSHOT, context)


def revert_first(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> model.VolumeFacts:
    """Bring the volume of most rules back to its snapshot."""
    return backend.revert(VOLUME, SNAPSHOT, context)


def clone_first(
    backend: interfaces.Backend,
    context: interfaces.OperationContext,
    *,
    size_bytes: int = MIB,
    snapshot_id: str | None = None,
    provisioning: Provisioning | None = None,
) -> model.VolumeFacts:
    """Copy the volume of most rules, or a snapshot of it."""
    parameters = CloneParameters(
        source_id=VOLUME,
        size_bytes=size_bytes,
        snapshot_id=snapshot_id,
        provisioning=provisioning,
    )
    return backend.clone(COPY, parameters, context)


def clone_larger(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> model.VolumeFacts:
    """Copy the volume of most rules into a larger one."""
    return clone_first(backend, context, size_bytes=2 * MIB)


def clone_thick(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> model.VolumeFacts:
    """Copy the volume of most rules, with its space taken at once."""
    return clone_first(backend, context, provisioning=Provisioning.THICK)


def clone_snapshot(
    backend: interfaces.Backend, context: interfaces.OperationContext
) -> model.VolumeFacts:
    """Copy the snapshot of most rules."""
    return clone_first(backend, context, snapshot_id=SNAPSHOT)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that can be seen of what most rules have.

    :param contents: what the volumes begin with.
    """

    volumes: dict[str, int]
    contents: dict[str, bytes]
    snapshot_bytes: int | None


def _seen(
    *,
    copy_bytes: int | None = None,
    snapshot_bytes: int | None = None,
    content: bytes = MARK,
) -> Seen:
    volumes = {VOLUME: MIB}
    contents = {VOLUME: content}
    if copy_bytes is not None:
        volumes[COPY] = copy_bytes
        contents[COPY] = MARK
    return Seen(
        volumes=volumes, contents=contents, snapshot_bytes=snapshot_bytes
    )


def _written(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    create_first(backend, FakeContext('create'))
    rules.write(backend, VOLUME, 0, MARK)


def _kept(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    _written(rules, backend)
    snapshot_first(backend, FakeContext('snapshot'))


def _changed(rules: acts.ActRules, backend: interfaces.Backend) -> None:
    _kept(rules, backend)
    rules.write(backend, VOLUME, 0, LATER_MARK[: len(MARK)])


TAKE = Act(
    name='snapshot',
    prepare=_written,
    operate=snapshot_first,
    before=_seen(),
    after=_seen(snapshot_bytes=MIB),
)
DROP = Act(
    name='delete snapshot',
    prepare=_kept,
    operate=delete_snapshot_of_first,
    before=_seen(snapshot_bytes=MIB),
    after=_seen(),
)
REVERT = Act(
    name='revert',
    prepare=_changed,
    operate=revert_first,
    before=_seen(snapshot_bytes=MIB, content=LATER_MARK[: len(MARK)]),
    after=_seen(snapshot_bytes=MIB),
)
CLONE = Act(
    name='clone',
    prepare=_written,
    operate=clone_first,
    before=_seen(),
    after=_seen(copy_bytes=MIB),
)
CLONE_LARGER = Act(
    name='clone larger',
    prepare=_written,
    operate=clone_larger,
    before=_seen(),
    after=_seen(copy_bytes=2 * MIB),
)
CLONE_THICK = Act(
    name='clone thick',
    prepare=_written,
    operate=clone_thick,
    before=_seen(),
    after=_seen(copy_bytes=MIB),
)
CLONE_SNAPSHOT = Act(
    name='clone snapshot',
    prepare=_kept,
    operate=clone_snapshot,
    before=_seen(snapshot_bytes=MIB),
    after=_seen(snapshot_bytes=MIB, copy_bytes=MIB),
)


class CopyActs(acts.ActRules):
    """The acts, and what rules begin with."""

    def acts(self) -> Iterator[Act]:
        """Yield what the backend can copy."""
        backend = self.start()
        can_snapshot = Operation.SNAPSHOT in backend.operations
        if can_snapshot:
            yield TAKE
            yield DROP
            if Operation.REVERT in backend.operations:
                yield REVERT
        if Operation.CLONE in backend.operations:
            yield CLONE
            yield CLONE_LARGER
            if Provisioning.THICK in backend.provisionings:
                yield CLONE_THICK
            if can_snapshot:
                yield CLONE_SNAPSHOT

    def look(self, backend: interfaces.Backend) -> object:
        """Return what there is, and what it begins with."""
        volumes = acts.sizes(backend)
        facts = (
            backend.find_snapshot(SNAPSHOT)
            if Operation.SNAPSHOT in backend.operations
            else None
        )
        return Seen(
            volumes=volumes,
            contents={
                volume_id: self.read(backend, volume_id, 0, len(MARK))
                for volume_id in volumes
            },
            snapshot_bytes=None if facts is None else facts.size_bytes,
        )

    def having(self, *operations: Operation) -> interfaces.Backend:
        """Return a backend with a volume that was written to.

        :raises SkipTest: an operation is not declared.
        """
        backend = self.start()
        for operation in operations:
            if operation not in backend.operations:
                raise unittest.SkipTest(f'not declared: {operation}')
        _written(self, backend)
        return backend

    def create(self, backend: interfaces.Backend, volume_id: str) -> None:
        backend.create(
            volume_id,
            CreateParameters(size_bytes=MIB),
            FakeContext(f'create-{volume_id}'),
        )

    def clone(self, backend: interfaces.Backend, volume_id: str) -> None:
        backend.clone(
            volume_id,
            CloneParameters(source_id=VOLUME, size_bytes=MIB),
            FakeContext(f'clone-{volume_id}'),
        )
