"""The backend "file": volumes as files in a folder of shared storage."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import errno
import logging
import os
from pathlib import Path
import struct
from typing import Self

from oslo_config import cfg

from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.backends import qemu_img
from virtdc_agent.backends.layout import Layout
from virtdc_agent.backends.layout import Meta
from virtdc_agent.backends.layout import open_new
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning

LOG = logging.getLogger(__name__)

CHUNK_BYTES = 8 * 1024**2
"""Zeros written between two looks at the deadline: some ten milliseconds."""
_ZEROS = bytes(CHUNK_BYTES)
_QCOW2_MAGIC = b'QFI\xfb'
_BUSY = frozenset({errno.EBUSY, errno.ETIMEDOUT, errno.ENOLCK, errno.EAGAIN})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class FileBackend(interfaces.Backend):
    """Keeps each volume as one file.

    A volume is made under a temporary name, written to disk and then linked
    to its own name, which fails if that is taken. To remove one, it is
    renamed and then unlinked. So whatever is under a volume's name is whole,
    and what an interruption leaves can be told by its name.

    Raw volumes only ever grow by ``ftruncate``, which is safe beside a guest
    that uses them. Thick volumes have all their space written.

    :param folder: an existing folder that holds nothing else.
    """

    operations = frozenset(
        {Operation.CREATE, Operation.DELETE, Operation.EXTEND}
    )
    formats = frozenset(Format)
    provisionings = frozenset(Provisioning)

    def __init__(
        self,
        folder: Path,
        *,
        default_format: Format = Format.RAW,
        default_provisioning: Provisioning = Provisioning.THIN,
        max_over_subscription_ratio: float = 20.0,
        reserved_percentage: int = 0,
        require_mount: bool = False,
    ) -> None:
        self._layout = Layout(folder)
        self._default_format = default_format
        self.default_provisioning = default_provisioning
        self._ratio = max_over_subscription_ratio
        self._reserved_percentage = reserved_percentage
        self._require_mount = require_mount

    @classmethod
    def from_config(
        cls, conf: cfg.ConfigOpts, *, clock: interfaces.Clock
    ) -> Self:
        """Return the backend that ``[backend_file]`` describes.

        :raises ConfigInvalid: no folder is named.
        """
        options = conf.backend_file
        if not options.path:
            raise exceptions.ConfigInvalid(
                '[backend_file] path is not set: name an existing folder on '
                'storage that all hosts share.'
            )
        return cls(
            Path(options.path),
            default_format=Format(options.format),
            default_provisioning=Provisioning(options.provisioning),
            max_over_subscription_ratio=options.max_over_subscription_ratio,
            reserved_percentage=options.reserved_percentage,
            require_mount=options.require_mount,
        )

    def start(self) -> None:
        """See the interface."""
        folder = self._layout.folder
        option = f'[backend_file] path = {folder}'
        if not folder.is_absolute():
            raise exceptions.ConfigInvalid(f'{option} must be absolute.')
        if not folder.is_dir():
            raise exceptions.ConfigInvalid(
                f'{option} is not a folder: create it, or mount the storage '
                'that holds it.'
            )
        if self._require_mount and not os.path.ismount(folder):
            raise exceptions.ConfigInvalid(
                f'{option} is not a mount point: mount the storage there, or '
                'set [backend_file] require_mount = false.'
            )
        probe = folder / f'.tmp-probe.{os.getpid()}'
        try:
            os.close(open_new(probe))
            probe.unlink()
        except OSError as exc:
            raise exceptions.ConfigInvalid(
                f'{option} cannot be written to ({exc.strerror}).'
            ) from exc
        if not qemu_img.is_installed():
            if self._default_format is Format.QCOW2:
                raise exceptions.ConfigInvalid(
                    '[backend_file] format = qcow2 needs qemu-img: install '
                    'it, or choose raw.'
                )
            self.formats = frozenset({Format.RAW})

    def sweep(self) -> Sequence[str]:
        """See the interface."""
        with _errors():
            leftovers = self._layout.leftovers()
            for path in leftovers:
                path.unlink(missing_ok=True)
            if leftovers:
                self._layout.sync()
        return [path.name for path in leftovers]

    def space(self) -> model.StorageSpace:
        """See the interface."""
        with _errors():
            found = os.statvfs(self._layout.folder)
        return model.StorageSpace(
            total_bytes=found.f_blocks * found.f_frsize,
            free_bytes=found.f_bavail * found.f_frsize,
            max_over_subscription_ratio=self._ratio,
            reserved_percentage=self._reserved_percentage,
        )

    def create(
        self,
        volume_id: str,
        parameters: events.CreateParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        meta = Meta(
            format=parameters.format or self._default_format,
            provisioning=parameters.provisioning or self.default_provisioning,
            event_id=context.event_id,
        )
        with _errors():
            existing = self._existing(volume_id, meta)
            if existing is not None:
                return existing
            temporary = self._layout.temporary(volume_id, context.event_id)
            try:
                self._fill(temporary, meta, parameters.size_bytes, context)
                context.begin_commit()
                self._layout.write_meta(volume_id, meta)
                self._publish(volume_id, temporary)
            finally:
                temporary.unlink(missing_ok=True)
            self._layout.sync()
            return self._facts(volume_id, meta)

    def delete(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface."""
        volume = self._layout.volume(volume_id)
        trash = self._layout.trash(volume_id, context.event_id)
        with _errors():
            context.begin_commit()
            with contextlib.suppress(FileNotFoundError):
                os.rename(volume, trash)
                self._layout.sync()
            self._layout.remove_meta(volume_id)
            trash.unlink(missing_ok=True)

    def extend(
        self,
        volume_id: str,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface.

        New space of a thick volume is written after the file has grown: at
        a crash or a deadline the volume has its new size, and not all of
        the space is taken yet; the next attempt takes the rest.
        """
        with _errors():
            facts = self.find(volume_id)
            if facts is None:
                raise exceptions.EventRejected(
                    f'The storage has no volume {volume_id}.'
                )
            if facts.size_bytes > size_bytes:
                raise exceptions.EventRejected(
                    f'Volume {volume_id} has {facts.size_bytes} bytes and '
                    f'cannot shrink to {size_bytes}.'
                )
            volume = self._layout.volume(volume_id)
            if facts.format is Format.QCOW2:
                if facts.size_bytes < size_bytes:
                    self._resize_image(volume, size_bytes, context)
            else:
                self._grow(volume, facts, size_bytes, context)
            return self._facts(volume_id, self._meta(volume_id))

    def find(self, volume_id: str) -> model.VolumeFacts | None:
        """See the interface."""
        with _errors():
            path = self._layout.volume(volume_id)
            if self._layout.size_on_disk(path) is None:
                return None
            return self._facts(volume_id, self._meta(volume_id))

    def scan(self) -> Iterable[model.VolumeFacts]:
        """See the interface."""
        with _errors():
            for volume_id in self._layout.volume_ids():
                facts = self.find(volume_id)
                if facts is not None:
                    yield facts

    def _existing(
        self, volume_id: str, wanted: Meta
    ) -> model.VolumeFacts | None:
        """Return what an earlier attempt of this event made, if it did."""
        path = self._layout.volume(volume_id)
        if not os.path.lexists(path):
            return None
        if self._layout.read_meta(volume_id) != wanted:
            raise exceptions.EventRejected(
                f'The storage already holds a volume {volume_id} that this '
                'request did not make.'
            )
        return self._facts(volume_id, wanted)

    def _fill(
        self,
        path: Path,
        meta: Meta,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> None:
        context.check()
        if meta.format is Format.QCOW2:
            preallocation = (
                'full' if meta.provisioning is Provisioning.THICK else 'off'
            )
            qemu_img.run(
                context,
                *('create', '-q', '-f', 'qcow2'),
                *('-o', f'preallocation={preallocation}'),
                *('--', str(path), str(size_bytes)),
            )
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        else:
            descriptor = open_new(path)
        try:
            if meta.format is Format.RAW:
                os.ftruncate(descriptor, size_bytes)
                if meta.provisioning is Provisioning.THICK:
                    _write_zeros(descriptor, 0, size_bytes, context)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _publish(self, volume_id: str, temporary: Path) -> None:
        """Give a finished file its name, unless it is taken."""
        try:
            os.link(
                temporary,
                self._layout.volume(volume_id),
                follow_symlinks=False,
            )
        except FileExistsError as exc:
            raise exceptions.EventRejected(
                f'The storage already holds a volume {volume_id} that this '
                'request did not make.'
            ) from exc

    def _resize_image(
        self,
        volume: Path,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> None:
        context.begin_commit()
        qemu_img.run(
            context,
            *('resize', '-q', '-f', 'qcow2'),
            *('--', str(volume), str(size_bytes)),
        )

    def _grow(
        self,
        volume: Path,
        facts: model.VolumeFacts,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> None:
        descriptor = os.open(volume, os.O_RDWR | os.O_NOFOLLOW)
        try:
            context.begin_commit()
            if size_bytes > facts.size_bytes:
                os.ftruncate(descriptor, size_bytes)
                if facts.provisioning is Provisioning.THICK:
                    _write_zeros(
                        descriptor, facts.size_bytes, size_bytes, context
                    )
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _meta(self, volume_id: str) -> Meta:
        # A volume that somebody put there by hand: raw is what cannot harm.
        return self._layout.read_meta(volume_id) or Meta(
            format=Format.RAW, provisioning=Provisioning.THIN, event_id=''
        )

    def _facts(self, volume_id: str, meta: Meta) -> model.VolumeFacts:
        path = self._layout.volume(volume_id)
        size = self._layout.size_on_disk(path)
        if meta.format is Format.QCOW2:
            size = _qcow2_size(path)
        if size is None:
            raise exceptions.BackendError(
                f'Volume {volume_id} is not a regular file.'
            )
        return model.VolumeFacts(
            volume_id=volume_id,
            size_bytes=size,
            format=meta.format,
            provisioning=meta.provisioning,
        )


def _write_zeros(
    descriptor: int,
    start: int,
    end: int,
    context: interfaces.OperationContext,
) -> None:
    at = start
    while at < end:
        context.check()
        context.report(at - start, end - start, 'writing zeros')
        at += os.pwrite(descriptor, _ZEROS[: min(CHUNK_BYTES, end - at)], at)
    context.report(end - start, end - start, 'writing zeros')


def _qcow2_size(path: Path) -> int:
    """Return the virtual size that an image of ours has in its header."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        header = os.pread(descriptor, 32, 0)
    finally:
        os.close(descriptor)
    if len(header) < 32 or header[:4] != _QCOW2_MAGIC:
        raise exceptions.BackendError(
            f'{path.name} has lost its header: it is not a qcow2 image.'
        )
    size: int = struct.unpack('>Q', header[24:32])[0]
    return size


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Translate what the file system says; no host paths go out."""
    try:
        yield
    except OSError as exc:
        problem = exc.strerror or 'unknown error'
        if exc.errno in _FULL:
            raise exceptions.BackendUnavailable(
                'The storage is full; delete something, or ask its operator '
                'for more.'
            ) from exc
        if exc.errno == errno.EFBIG:
            raise exceptions.EventRejected(
                "The volume is larger than the storage's largest file."
            ) from exc
        if exc.errno in _BUSY:
            raise exceptions.BackendBusy(
                f'The storage is busy ({problem}); try again later.'
            ) from exc
        if exc.errno in (errno.ENOENT, errno.EROFS, errno.ENOTCONN):
            raise exceptions.BackendUnavailable(
                f'The storage cannot be used now ({problem}); its operator '
                'must look at it.'
            ) from exc
        raise exceptions.BackendError(
            f'The storage failed ({problem}); try again, or tell its operator.'
        ) from exc
