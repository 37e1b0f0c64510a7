"""What is found under the name of a volume or a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import dataclasses
import os
import stat

from virtdc_agent.backends.folder import OpenFolder
from virtdc_agent.backends.image import Image
from virtdc_agent.backends.label import Label
from virtdc_agent.backends import layout
from virtdc_agent.contract.events import Format
from virtdc_agent import exceptions

Images = Mapping[Format, Image]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What has the name.

    :param label: ``None``: it is not ours, and not to be touched.
    """

    status: os.stat_result
    label: Label | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A volume or a snapshot whose file is open.

    :param size_bytes: as its user sees it.
    """

    descriptor: int
    status: os.stat_result
    label: Label
    size_bytes: int


def look(folder: OpenFolder, place: layout.Place) -> Found | None:
    """Return what has a name, whether it is ours or not.

    :raises BackendError: its label is damaged.
    """
    status = folder.find(place.file)
    if status is None:
        return None
    if not stat.S_ISREG(status.st_mode):
        return Found(status=status, label=None)
    try:
        label = folder.read_label(place.label)
    except ValueError as exc:
        raise exceptions.BackendError(
            f'The label of {place.words} cannot be read ({exc}); the '
            'operator of the storage has to look at it.'
        ) from exc
    return Found(status=status, label=label)


@contextlib.contextmanager
def opened(
    folder: OpenFolder,
    place: layout.Place,
    images: Images,
    flags: int = os.O_RDONLY,
    *,
    snapshot_of: str = '',
) -> Iterator[Opened]:
    """Open a volume while the body runs, or a snapshot of a volume.

    :raises EventRejected: there is none, or it is of another volume.
    :raises BackendError: it is damaged.
    :raises OperationCancelled: another file has the name since it was looked
        at: a later operation has put it there.
    """
    with contextlib.ExitStack() as stack:
        try:
            found = look(folder, place)
            if found is None or found.label is None:
                raise missing(place)
            check_whose(found.label, place, snapshot_of)
            descriptor = stack.enter_context(folder.opened(place.file, flags))
        except FileNotFoundError as exc:
            raise missing(place) from exc
        if not os.path.samestat(found.status, os.fstat(descriptor)):
            raise exceptions.OperationCancelled(
                f'{place.words} is another one now'
            )
        with damage_told(place):
            size_bytes = images[found.label.format].measure(descriptor)
        yield Opened(
            descriptor=descriptor,
            status=found.status,
            label=found.label,
            size_bytes=size_bytes,
        )


def check_whose(label: Label, place: layout.Place, snapshot_of: str) -> None:
    """Refuse a snapshot of another volume.

    :raises EventRejected: it is one.
    """
    if label.snapshot_of != snapshot_of:
        raise exceptions.EventRejected(
            f'{place.subject} is none of volume {snapshot_of}.'
        )


@contextlib.contextmanager
def damage_told(place: layout.Place) -> Iterator[None]:
    """Raise the agent's error for what an image says of its file.

    :raises BackendError: it is damaged.
    """
    try:
        yield
    except ValueError as exc:
        raise exceptions.BackendError(
            f'{place.subject} is damaged ({exc}); the operator of the '
            'storage has to look at it.'
        ) from exc


def missing(place: layout.Place) -> exceptions.EventRejected:
    """Return the error for what is not there, or not ours."""
    return exceptions.EventRejected(f'The storage has no {place.words}.')
