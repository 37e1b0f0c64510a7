"""A backend that keeps each volume in a directory of its own.

::

    volumes/<volume id>/event    id of the event that made it
    volumes/<volume id>/data     its bytes
    scratch/<fence>.<volume id>  what is being made, or removed
    fences/<volume id>           the highest fence that has acted on it

A volume appears and disappears by one ``rename`` of its directory.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import errno
import fcntl
import os
from pathlib import Path
import shutil
from typing import Self

from oslo_config import cfg

from virtdc_agent.contract import events
from virtdc_agent.contract import fields
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

OPTIONS = (cfg.StrOpt('path', help='Folder that holds the volumes.'),)


class DirectoriesBackend(interfaces.Backend):
    """See the interface for the promises."""

    operations = frozenset(
        {
            events.Operation.CREATE,
            events.Operation.DELETE,
            events.Operation.EXTEND,
        }
    )
    formats = frozenset({events.Format.RAW})
    provisionings = frozenset({events.Provisioning.THIN})

    def __init__(self, path: Path) -> None:
        self._volumes = path / 'volumes'
        self._scratch = path / 'scratch'
        self._fences = path / 'fences'

    @classmethod
    def from_config(
        cls,
        conf: cfg.ConfigOpts,
        *,
        clock: interfaces.Clock,
        section: str = '',
    ) -> Self:
        """See the interface. Touches nothing but the configuration."""
        group = section or 'backend_directories'
        conf.register_opts(OPTIONS, group=group)
        if not conf[group].path:
            raise exceptions.ConfigInvalid(
                f'[{group}] path is not set: name the folder of the volumes.'
            )
        return cls(Path(conf[group].path))

    def start(self) -> None:
        """See the interface."""
        try:
            for folder in (self._volumes, self._scratch, self._fences):
                folder.mkdir(exist_ok=True)
        except OSError as exc:
            raise exceptions.ConfigInvalid(
                f'path = {self._volumes.parent} cannot be used: {exc}'
            ) from exc

    def sweep(self, held: Callable[[], Collection[int]]) -> Sequence[str]:
        """See the interface. Renamed first, nothing of it can be used."""
        swept = []
        with _storage_errors():
            listed = sorted(os.listdir(self._scratch))
            going_on = held()
            for name in listed:
                if int(name.split('.')[0]) in going_on:
                    continue
                gone = self._scratch / f'{name.removesuffix(".gone")}.gone'
                with contextlib.suppress(FileNotFoundError):
                    (self._scratch / name).rename(gone)
                    shutil.rmtree(gone)
                    swept.append(name)
        return swept

    def space(self) -> model.StorageSpace:
        """See the interface."""
        with _storage_errors():
            found = os.statvfs(self._volumes)
        return model.StorageSpace(
            total_bytes=found.f_blocks * found.f_frsize,
            free_bytes=found.f_bavail * found.f_frsize,
        )

    def create(
        self,
        volume_id: str,
        parameters: events.CreateParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        if parameters.format not in (
            None,
            *self.formats,
        ) or parameters.provisioning not in (None, *self.provisionings):
            raise exceptions.EventRejected(
                f'Volume {volume_id}: this storage makes thin raw volumes '
                'only.'
            )
        with self._turn(volume_id, context):
            maker = self._maker_of(volume_id)
            if maker is None:
                self._make(volume_id, parameters.size_bytes, context)
            elif maker != context.event_id:
                raise exceptions.EventRejected(
                    f'A volume {volume_id} exists already and was not made '
                    'by this event: choose another id.'
                )
            return self._facts(volume_id)

    def delete(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface."""
        gone = self._scratch / f'{context.fence}.{volume_id}'
        with self._turn(volume_id, context):
            if self._maker_of(volume_id) is not None:
                context.begin_commit()
                (self._volumes / volume_id).rename(gone)
            # Also for an earlier attempt that ended before this.
            _sync(self._volumes)
        shutil.rmtree(gone, ignore_errors=True)

    def extend(
        self,
        volume_id: str,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        with self._turn(volume_id, context):
            if self._maker_of(volume_id) is None:
                raise exceptions.EventRejected(
                    f'The storage has no volume {volume_id}.'
                )
            present = self._facts(volume_id)
            if present.size_bytes > size_bytes:
                raise exceptions.EventRejected(
                    f'Volume {volume_id} cannot shrink to {size_bytes} bytes.'
                )
            if present.size_bytes < size_bytes:
                context.begin_commit()
                os.truncate(self._data(volume_id), size_bytes)
            _sync(self._data(volume_id))
            return self._facts(volume_id)

    def find(self, volume_id: str) -> model.VolumeFacts | None:
        """See the interface."""
        if not fields.IDENTIFIER.fullmatch(volume_id):
            return None
        with _storage_errors():
            try:
                if not (self._volumes / volume_id / 'event').exists():
                    return None
                return self._facts(volume_id)
            except FileNotFoundError:
                return None

    def scan(self) -> Iterator[model.VolumeFacts]:
        """See the interface."""
        with _storage_errors():
            listed = os.listdir(self._volumes)
        for volume_id in listed:
            facts = self.find(volume_id)
            if facts is not None:
                yield facts

    def locate(self, volume_id: str) -> str | None:
        """See the interface."""
        found = self.find(volume_id)
        return None if found is None else str(self._data(volume_id))

    @contextlib.contextmanager
    def _turn(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> Iterator[None]:
        """Hold the volume while the body runs; refuse who was overtaken."""
        if not fields.IDENTIFIER.fullmatch(volume_id):
            raise exceptions.EventRejected(
                f'{volume_id!r} cannot be the name of a volume.'
            )
        with contextlib.ExitStack() as stack:
            stack.enter_context(_storage_errors())
            file = os.open(
                self._fences / volume_id, os.O_RDWR | os.O_CREAT, 0o600
            )
            stack.callback(os.close, file)
            fcntl.flock(file, fcntl.LOCK_EX)
            if int(os.pread(file, 20, 0) or 0) > context.fence:
                raise exceptions.OperationCancelled(
                    'a later operation has begun on this volume'
                )
            # As long as what was there, and so never seen in part.
            os.pwrite(file, b'%020d' % context.fence, 0)
            os.fsync(file)
            context.check()
            yield

    def _make(
        self,
        volume_id: str,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> None:
        """Make all that nobody sees, durably; then give it its name."""
        scratch = self._scratch / f'{context.fence}.{volume_id}'
        try:
            scratch.mkdir()
            (scratch / 'event').write_text(context.event_id, 'utf-8')
            (scratch / 'data').touch(mode=0o660)
            os.truncate(scratch / 'data', size_bytes)
            for path in (scratch / 'event', scratch / 'data', scratch):
                _sync(path)
            context.begin_commit()
            scratch.rename(self._volumes / volume_id)
            _sync(self._volumes)
        except FileNotFoundError as exc:
            raise exceptions.OperationCancelled(
                'what it had prepared was swept away'
            ) from exc
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _maker_of(self, volume_id: str) -> str | None:
        """Return the event that made a volume; ``None``: there is none.

        :raises EventRejected: what has the name is not ours.
        """
        path = self._volumes / volume_id
        try:
            return (path / 'event').read_text('utf-8')
        except (FileNotFoundError, NotADirectoryError) as exc:
            if path.exists():
                raise exceptions.EventRejected(
                    f'What has the name of volume {volume_id} is not ours '
                    'and is left alone.'
                ) from exc
            return None

    def _facts(self, volume_id: str) -> model.VolumeFacts:
        return model.VolumeFacts(
            volume_id=volume_id,
            size_bytes=self._data(volume_id).stat().st_size,
            format=events.Format.RAW,
            provisioning=events.Provisioning.THIN,
        )

    def _data(self, volume_id: str) -> Path:
        return self._volumes / volume_id / 'data'


def _sync(path: Path) -> None:
    """Have a file or folder on the disk before anything that follows."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    """Say in the agent's words what the file system says; no host paths."""
    try:
        yield
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise exceptions.BackendUnavailable(
                'The storage is full: delete volumes or add space.'
            ) from exc
        raise exceptions.BackendError(
            f'The storage failed: {exc.strerror}.'
        ) from exc
