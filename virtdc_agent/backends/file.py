"""Volumes as files in a folder: the embedded backend.

The folder is any file system with hard links, best one that all hosts mount.
``layout`` has its names, ``label`` says why each volume has a label.

Steps of a create, each durable before the next: the temporary file is made,
filled and synced; its label is written; leave is asked; the file is linked
to its name. Of a delete: leave is asked; the file is renamed into the trash;
trash and label are removed. Killed between any two, what is left is either a
whole volume or what ``sweep`` removes. All that others can see is done under
the volume's lock, by who has the highest fence (see ``turn``); what is found
there is looked at again once it is held.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import logging
import os
import stat
from typing import Self

from oslo_config import cfg

from virtdc_agent.backends.folder import Folder
from virtdc_agent.backends.folder import OpenFolder
from virtdc_agent.backends.image import Image
from virtdc_agent.backends.label import Label
from virtdc_agent.backends import layout
from virtdc_agent.backends.oserrors import may_pass
from virtdc_agent.backends.oserrors import translate
from virtdc_agent.backends.oserrors import translated
from virtdc_agent.backends.qcow2 import Qcow2Image
from virtdc_agent.backends.qemu_img import QemuImg
from virtdc_agent.backends.raw import RawImage
from virtdc_agent.backends.turn import Turn
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)

_FENCE_KEPT_S = 86400.0
"""How long a fence outlives its volume: no stopped agent wakes up later."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What has a volume's name.

    :param label: ``None``: it is not a volume, and not to be touched.
    """

    status: os.stat_result
    label: Label | None


class FileBackend(interfaces.Backend):
    """Keeps each volume in a file; see the interface for the promises.

    :param path: the folder; it is there and holds nothing else.
    :param format: of volumes that do not ask for one.
    :param provisioning: of volumes that do not ask for one.
    :param require_mount: refuse to start unless ``path`` is a mount point.
    """

    operations = frozenset(
        {Operation.CREATE, Operation.DELETE, Operation.EXTEND}
    )

    def __init__(
        self,
        path: str | None,
        *,
        format: Format = Format.RAW,
        provisioning: Provisioning = Provisioning.THIN,
        max_over_subscription_ratio: float = 20.0,
        reserved_percentage: int = 0,
        require_mount: bool = False,
        qemu_img: QemuImg | None = None,
        clock: interfaces.Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._path = path or ''
        self._format = format
        self.default_provisioning = provisioning
        self._ratio = max_over_subscription_ratio
        self._reserved_percentage = reserved_percentage
        self._require_mount = require_mount
        self._qemu_img = qemu_img or QemuImg()
        self._folder = Folder(self._path)
        self._images: Mapping[Format, Image] = {
            Format.RAW: RawImage(),
            Format.QCOW2: Qcow2Image(self._qemu_img),
        }
        self.formats = frozenset({Format.RAW})
        self.provisionings = frozenset({Provisioning.THIN})

    @classmethod
    def from_config(
        cls, conf: cfg.ConfigOpts, *, clock: interfaces.Clock
    ) -> Self:
        """Return a backend as ``[backend_file]`` says."""
        options = conf.backend_file
        return cls(
            options.path,
            format=Format(options.format),
            provisioning=Provisioning(options.provisioning),
            max_over_subscription_ratio=options.max_over_subscription_ratio,
            reserved_percentage=options.reserved_percentage,
            require_mount=options.require_mount,
            clock=clock,
        )

    def start(self) -> None:
        """See the interface. Makes the folder's own parts, once."""
        self._check_path()
        try:
            can_reserve = self._folder.prepare()
        except OSError as exc:
            if may_pass(exc.errno):
                raise translate('The storage', exc.errno) from exc
            raise exceptions.ConfigInvalid(
                f'[backend_file] path = {self._path} cannot be used: '
                f'{exc.strerror}. The agent must be able to write, sync and '
                'link files there; see to its owner, its mode and its mount.'
            ) from exc
        missing = self._qemu_img.get_missing()
        if missing and self._format is Format.QCOW2:
            raise exceptions.ConfigInvalid(
                f'[backend_file] format = qcow2 needs {", ".join(missing)}: '
                'install qemu-utils and util-linux, or choose raw.'
            )
        if not can_reserve and self.default_provisioning is Provisioning.THICK:
            raise exceptions.ConfigInvalid(
                '[backend_file] provisioning = thick needs a file system '
                f'that can reserve space, and that of {self._path} cannot '
                '(NFS can since 4.2): mount it otherwise, or choose thin.'
            )
        self.formats = frozenset({Format.RAW} if missing else Format)
        self.provisionings = frozenset(
            Provisioning if can_reserve else {Provisioning.THIN}
        )

    def sweep(self, held: Callable[[], Collection[int]]) -> Sequence[str]:
        """See the interface."""
        older_than = self._clock.now().timestamp() - _FENCE_KEPT_S
        with self._opened('Sweeping the storage') as folder:
            return folder.sweep(held, older_than)

    def space(self) -> model.StorageSpace:
        """See the interface."""
        with self._opened('The size of the storage') as folder:
            status = os.fstatvfs(folder.root)
        return model.StorageSpace(
            total_bytes=status.f_blocks * status.f_frsize,
            free_bytes=status.f_bavail * status.f_frsize,
            max_over_subscription_ratio=self._ratio,
            reserved_percentage=self._reserved_percentage,
        )

    def create(
        self,
        volume_id: str,
        parameters: CreateParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        layout.check_identifier(context.event_id)
        format_ = parameters.format or self._format
        provisioning = parameters.provisioning or self.default_provisioning
        if format_ not in self.formats:
            raise _not_offered('format', format_, self.formats)
        if provisioning not in self.provisionings:
            raise _not_offered(
                'provisioning', provisioning, self.provisionings
            )
        self._images[format_].check_size(parameters.size_bytes)
        with self._opened(f'Volume {volume_id}') as folder:
            turn = Turn(folder.fences, volume_id, context)
            with turn.held():
                if context.attempt > 1:
                    folder.revoke(volume_id, context.event_id, context.fence)
                present = self._adopt(folder, volume_id, context)
            if present is not None:
                return present
            label = self._make(
                folder,
                turn,
                volume_id,
                parameters.size_bytes,
                format_,
                provisioning,
                context,
            )
            return _facts(volume_id, parameters.size_bytes, label)

    def delete(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface.

        :raises EventRejected: what has the name is not a volume of ours.
        """
        layout.check_identifier(volume_id)
        layout.check_identifier(context.event_id)
        trash = layout.scratch_name(volume_id, context.event_id, context.fence)
        with self._opened(f'Volume {volume_id}') as folder:
            with Turn(folder.fences, volume_id, context).held():
                found = _look(folder, volume_id)
                if found is None:
                    # The earlier attempt may have ended before this.
                    folder.sync()
                    folder.remove_label(volume_id)
                    return
                if found.label is None:
                    raise exceptions.EventRejected(
                        f'What has the name of volume {volume_id} in the '
                        'storage was not made by this agent and is left '
                        'alone; its operator may remove it.'
                    )
                context.begin_commit()
                folder.throw_away(layout.volume_name(volume_id), trash)
                with _forgiven(volume_id):
                    folder.remove_label(volume_id)
            with _forgiven(volume_id):
                folder.empty_trash(trash)

    def extend(
        self,
        volume_id: str,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        name = layout.volume_name(volume_id)
        with self._opened(f'Volume {volume_id}') as folder:
            found = _look(folder, volume_id)
            if found is None or found.label is None:
                raise exceptions.EventRejected(
                    f'The storage has no volume {volume_id}.'
                )
            label = found.label
            image = self._images[label.format]
            image.check_size(size_bytes)
            with (
                Turn(folder.fences, volume_id, context).held() as lock,
                folder.opened(name, os.O_RDWR) as descriptor,
            ):
                _check_same(found, descriptor)
                present_bytes = _measure(image, descriptor, volume_id)
                if present_bytes > size_bytes:
                    raise exceptions.EventRejected(
                        f'Volume {volume_id} has {present_bytes} bytes and '
                        f'cannot shrink to {size_bytes}.'
                    )
                if present_bytes < size_bytes:
                    image.grow(
                        descriptor,
                        size_bytes,
                        label.provisioning,
                        context,
                        lambda: contextlib.nullcontext(lock),
                    )
                # Also after an earlier attempt that ended before this.
                os.fsync(descriptor)
        return _facts(volume_id, size_bytes, label)

    def find(self, volume_id: str) -> model.VolumeFacts | None:
        """See the interface."""
        if not layout.is_identifier(volume_id):
            return None
        with self._opened(f'Volume {volume_id}') as folder:
            return self._find(folder, volume_id)

    def scan(self) -> Iterable[model.VolumeFacts]:
        """See the interface."""
        with self._opened('The list of volumes') as folder:
            for name in folder.names():
                volume_id = layout.volume_id_of(name)
                if volume_id is None:
                    continue
                facts = self._find(folder, volume_id)
                if facts is not None:
                    yield facts

    def _check_path(self) -> None:
        if not self._path:
            raise exceptions.ConfigInvalid(
                '[backend_file] path is not set: name the folder of the '
                'volumes.'
            )
        if not os.path.isabs(self._path):
            raise exceptions.ConfigInvalid(
                f'[backend_file] path = {self._path} depends on where the '
                'agent is started: give it from the root on.'
            )
        if not os.path.isdir(self._path):
            raise exceptions.ConfigInvalid(
                f'[backend_file] path = {self._path} is not a folder: mount '
                'the storage there, or make the folder.'
            )
        if self._require_mount and not os.path.ismount(self._path):
            raise exceptions.ConfigInvalid(
                f'[backend_file] path = {self._path} is not a mount point: '
                'mount the storage there, or set require_mount = false.'
            )

    @contextlib.contextmanager
    def _opened(self, subject: str) -> Iterator[OpenFolder]:
        with translated(subject), self._folder.open() as folder:
            yield folder

    def _adopt(
        self,
        folder: OpenFolder,
        volume_id: str,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts | None:
        """Return what an earlier attempt of this event has made, if it has.

        :raises EventRejected: something else has the name.
        """
        found = _look(folder, volume_id)
        if found is None:
            return None
        present = found.label
        if present is None or present.event_id != context.event_id:
            raise _taken(volume_id)
        if present.inode != found.status.st_ino:
            # Our label; but something else took the name before us.
            folder.remove_label(volume_id)
            raise _taken(volume_id)
        # The earlier attempt may have ended before this.
        folder.sync()
        return self._measured(folder, volume_id, present)

    def _make(
        self,
        folder: OpenFolder,
        turn: Turn,
        volume_id: str,
        size_bytes: int,
        format_: Format,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> Label:
        scratch = layout.scratch_name(
            volume_id, context.event_id, context.fence
        )
        try:
            descriptor = folder.make_temporary(scratch)
            try:
                self._images[format_].fill(
                    descriptor, size_bytes, provisioning, context
                )
                os.fsync(descriptor)
                label = Label(
                    event_id=context.event_id,
                    inode=os.fstat(descriptor).st_ino,
                    format=format_,
                    provisioning=provisioning,
                )
            finally:
                os.close(descriptor)
            with turn.held():
                self._publish(folder, volume_id, label, scratch, context)
            return label
        except FileExistsError as exc:
            raise _taken(volume_id) from exc
        finally:
            folder.drop_temporary(scratch)
            folder.drop_temporary(f'{scratch}.label')

    @staticmethod
    def _publish(
        folder: OpenFolder,
        volume_id: str,
        label: Label,
        scratch: str,
        context: interfaces.OperationContext,
    ) -> None:
        """Make a volume visible; its lock is held."""
        name = layout.volume_name(volume_id)
        if folder.find(name) is not None:
            raise FileExistsError(name)
        try:
            folder.write_label(volume_id, label, f'{scratch}.label')
            context.begin_commit()
            folder.publish(scratch, name)
        except BaseException as exc:
            with contextlib.suppress(OSError):
                folder.remove_label(volume_id)
            if isinstance(exc, FileNotFoundError):
                raise exceptions.OperationCancelled(
                    'what it had prepared was swept away'
                ) from exc
            raise

    def _find(
        self, folder: OpenFolder, volume_id: str
    ) -> model.VolumeFacts | None:
        found = _look(folder, volume_id)
        if found is None or found.label is None:
            return None
        try:
            return self._measured(folder, volume_id, found.label)
        except FileNotFoundError:
            # Deleted since.
            return None

    def _measured(
        self, folder: OpenFolder, volume_id: str, label: Label
    ) -> model.VolumeFacts:
        name = layout.volume_name(volume_id)
        with folder.opened(name, os.O_RDONLY) as descriptor:
            size_bytes = _measure(
                self._images[label.format], descriptor, volume_id
            )
        return _facts(volume_id, size_bytes, label)


def _look(folder: OpenFolder, volume_id: str) -> _Found | None:
    """Return what has a volume's name, volume or not."""
    status = folder.find(layout.volume_name(volume_id))
    if status is None:
        return None
    if not stat.S_ISREG(status.st_mode):
        return _Found(status=status, label=None)
    try:
        label = folder.read_label(volume_id)
    except ValueError as exc:
        raise exceptions.BackendError(
            f'The label of volume {volume_id} cannot be read ({exc}); the '
            'operator of the storage has to look at it.'
        ) from exc
    return _Found(status=status, label=label)


def _check_same(found: _Found, descriptor: int) -> None:
    """Refuse to go on if another file has the name since it was looked at.

    :raises OperationCancelled: a later operation has put it there.
    """
    if not os.path.samestat(found.status, os.fstat(descriptor)):
        raise exceptions.OperationCancelled('the volume is another one now')


@contextlib.contextmanager
def _forgiven(volume_id: str) -> Iterator[None]:
    """Go on if what is deleted cannot be cleared away yet."""
    try:
        yield
    except OSError:
        LOG.warning(
            'Volume %s is deleted, but its space is not free before the next '
            'sweep.',
            volume_id,
            exc_info=True,
        )


def _measure(image: Image, descriptor: int, volume_id: str) -> int:
    try:
        return image.measure(descriptor)
    except ValueError as exc:
        raise exceptions.BackendError(
            f'Volume {volume_id} is damaged ({exc}); the operator of the '
            'storage has to look at it.'
        ) from exc


def _facts(volume_id: str, size_bytes: int, label: Label) -> model.VolumeFacts:
    return model.VolumeFacts(
        volume_id=volume_id,
        size_bytes=size_bytes,
        format=label.format,
        provisioning=label.provisioning,
    )


def _taken(volume_id: str) -> exceptions.EventRejected:
    return exceptions.EventRejected(
        f'A volume {volume_id} exists already in the storage and was not '
        'made by this event: choose another id.'
    )


def _not_offered(
    what: str, wanted: str, offered: Iterable[str]
) -> exceptions.EventRejected:
    return exceptions.EventRejected(
        f'The storage offers no {what} "{wanted}", only '
        f'{", ".join(sorted(offered))}.'
    )
