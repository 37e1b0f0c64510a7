"""Names in the folder of the backend "file", and what may be there.

::

    volume-<id>                  a volume
    .meta-<id>.json              its format and provisioning, and which event
                                 made it
    .tmp-<id>.<event>            a volume that is being made
    .trash-<id>.<event>          a volume that is being removed

What a volume is, is never read from its bytes: a guest may write a qcow2
header into a raw volume, and would then choose what its host opens. It stands
in a file of its own beside the volume, which any file system can hold.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import json
import os
from pathlib import Path
import stat

from virtdc_agent import exceptions
from virtdc_agent.contract import fields
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning

VOLUME = 'volume-'
META = '.meta-'
TEMPORARY = '.tmp-'
TRASH = '.trash-'
MODE = 0o600


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What is noted of a volume.

    :param event_id: the event that made it, so that a second attempt knows
        its own work from another's file.
    """

    format: Format
    provisioning: Provisioning
    event_id: str


class Layout:
    """Paths of volumes in a folder, and durable steps on them.

    :param folder: an existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def volume(self, volume_id: str) -> Path:
        """Return where a volume lies."""
        return self.folder / f'{VOLUME}{_checked(volume_id)}'

    def temporary(self, volume_id: str, event_id: str) -> Path:
        """Return where an event makes a volume."""
        name = f'{TEMPORARY}{_checked(volume_id)}.{_checked(event_id)}'
        return self.folder / name

    def trash(self, volume_id: str, event_id: str) -> Path:
        """Return where an event puts a volume that is to go."""
        name = f'{TRASH}{_checked(volume_id)}.{_checked(event_id)}'
        return self.folder / name

    def size_on_disk(self, path: Path) -> int | None:
        """Return the size of a regular file; ``None`` if it is none."""
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def read_meta(self, volume_id: str) -> Meta | None:
        """Return what is noted of a volume, if anything is."""
        try:
            text = self._meta(volume_id).read_text(encoding='utf-8')
        except FileNotFoundError:
            return None
        try:
            reader = fields.Reader(json.loads(text), 'meta')
            return Meta(
                format=reader.choice('format', Format),
                provisioning=reader.choice('provisioning', Provisioning),
                event_id=reader.text('event_id'),
            )
        except ValueError as exc:
            raise exceptions.BackendError(
                f'What is noted of volume {volume_id} cannot be read ({exc});'
                " the data centre's operator must look at it."
            ) from exc

    def write_meta(self, volume_id: str, meta: Meta) -> None:
        """Note what a volume is, durably, before it is there."""
        text = json.dumps(
            {
                'format': meta.format.value,
                'provisioning': meta.provisioning.value,
                'event_id': meta.event_id,
            }
        )
        path = self._meta(volume_id)
        partial = path.with_name(
            f'{TEMPORARY}{volume_id}.{meta.event_id}.meta'
        )
        descriptor = open_new(partial)
        try:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(partial, path)

    def remove_meta(self, volume_id: str) -> None:
        """Forget what was noted of a volume."""
        self._meta(volume_id).unlink(missing_ok=True)

    def sync(self) -> None:
        """Make the names in the folder durable."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def volume_ids(self) -> Iterator[str]:
        """Yield the ids of all volumes, in no order."""
        with os.scandir(self.folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(VOLUME) and entry.is_file(
                    follow_symlinks=False
                ):
                    volume_id = name.removeprefix(VOLUME)
                    if fields.IDENTIFIER.fullmatch(volume_id):
                        yield volume_id

    def leftovers(self) -> list[Path]:
        """Return what interrupted operations left.

        Notes of volumes that are not there are left over, too.
        """
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.startswith((TEMPORARY, TRASH)):
                    found.append(Path(entry.path))
                elif entry.name.startswith(META):
                    volume_id = entry.name.removeprefix(META).removesuffix(
                        '.json'
                    )
                    with contextlib.suppress(exceptions.EventRejected):
                        if self.size_on_disk(self.volume(volume_id)) is None:
                            found.append(Path(entry.path))
        return found

    def _meta(self, volume_id: str) -> Path:
        return self.folder / f'{META}{_checked(volume_id)}.json'


def open_new(path: Path) -> int:
    """Open a file for writing that is new, or was left by ourselves.

    Never through a symbolic link that somebody put there.
    """
    path.unlink(missing_ok=True)
    return os.open(
        path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, MODE
    )


def _checked(name: str) -> str:
    # The contract has checked it; this folder does not rely on that.
    if not fields.IDENTIFIER.fullmatch(name):
        raise exceptions.EventRejected(
            'The id of the volume cannot be used as a file name.'
        )
    return name
