"""Volumes as files in a folder: the embedded backend.

The folder is any file system with hard links, best one that all hosts mount.
``layout`` has its names, ``label`` says why each volume has a label,
``publishing`` in which steps a file gets its name and loses it, ``copies``
what a snapshot is. Killed between any two steps, what is left is either a
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
import os
from typing import Self

from oslo_config import cfg

from virtdc_agent.backends.copies import Copies
from virtdc_agent.backends import discarding
from virtdc_agent.backends.file_managing import FileManaging
from virtdc_agent.backends import finding
from virtdc_agent.backends.folder import Folder
from virtdc_agent.backends.folder import OpenFolder
from virtdc_agent.backends import groups
from virtdc_agent.backends.importing import Importer
from virtdc_agent.backends.label import Label
from virtdc_agent.backends import layout
from virtdc_agent.backends.managing import Managing
from virtdc_agent.backends.oserrors import may_pass
from virtdc_agent.backends.oserrors import translate
from virtdc_agent.backends.oserrors import translated
from virtdc_agent.backends import publishing
from virtdc_agent.backends.qcow2 import Qcow2Image
from virtdc_agent.backends.qemu_img import QemuImg
from virtdc_agent.backends.raw import RawImage
from virtdc_agent.backends.turn import Turn
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract.events import CloneParameters
from virtdc_agent.contract.events import CreateParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import ImportParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

_SECTION = 'backend_file'
_FENCE_KEPT_S = 86400.0
"""How long a fence outlives its volume: no stopped agent wakes up later."""


class FileBackend(FileManaging, interfaces.Backend):
    """Keeps each volume in a file; see the interface for the promises.

    :param path: the folder; it is there and holds nothing else.
    :param format: of volumes that do not ask for one.
    :param provisioning: of volumes that do not ask for one.
    :param require_mount: refuse to start unless ``path`` is a mount point.
    :param section: where its options stand, for errors.
    """

    operations = frozenset(
        {
            *(Operation.CREATE, Operation.DELETE, Operation.EXTEND),
            *(Operation.SNAPSHOT, Operation.DELETE_SNAPSHOT),
            *(Operation.REVERT, Operation.CLONE, Operation.IMPORT),
            Operation.SNAPSHOT_GROUP,
            Operation.MIGRATE,
            *(Operation.MANAGE, Operation.UNMANAGE),
            *(Operation.MANAGE_SNAPSHOT, Operation.UNMANAGE_SNAPSHOT),
        }
    )

    has_trash = True

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
        section: str = _SECTION,
    ) -> None:
        self._section = section
        self._clock = clock or SystemClock()
        self._path = path or ''
        self._format = format
        self.default_provisioning = provisioning
        self._ratio = max_over_subscription_ratio
        self._reserved_percentage = reserved_percentage
        self._require_mount = require_mount
        self._qemu_img = qemu_img or QemuImg()
        self._folder = Folder(self._path)
        self._images: finding.Images = {
            Format.RAW: RawImage(),
            Format.QCOW2: Qcow2Image(self._qemu_img),
        }
        self.formats = frozenset({Format.RAW})
        self.provisionings = frozenset({Provisioning.THIN})
        self._importer = Importer(self._qemu_img)
        self._copies = Copies(
            self._images, importer=self._importer, can_share=False
        )
        self._managing = Managing({})

    @classmethod
    def from_config(
        cls,
        conf: cfg.ConfigOpts,
        *,
        clock: interfaces.Clock,
        section: str = '',
    ) -> Self:
        """Return a backend as ``[backend_file]`` says, or a pool's section."""
        section = section or _SECTION
        options = conf[section]
        return cls(
            options.path,
            format=Format(options.format),
            provisioning=Provisioning(options.provisioning),
            max_over_subscription_ratio=options.max_over_subscription_ratio,
            reserved_percentage=options.reserved_percentage,
            require_mount=options.require_mount,
            clock=clock,
            section=section,
        )

    def start(self) -> None:
        """See the interface. Makes the folder's own parts, once."""
        self._check_path()
        try:
            abilities = self._folder.prepare()
        except OSError as exc:
            if may_pass(exc.errno):
                raise translate('The storage', exc.errno) from exc
            raise exceptions.ConfigInvalid(
                f'[{self._section}] path = {self._path} cannot be used: '
                f'{exc.strerror}. The agent must be able to write, sync and '
                'link files there; see to its owner, its mode and its mount.'
            ) from exc
        missing = self._qemu_img.get_missing()
        if missing and self._format is Format.QCOW2:
            raise exceptions.ConfigInvalid(
                f'[{self._section}] format = qcow2 needs '
                f'{", ".join(missing)}: install qemu-utils and util-linux, or '
                'choose raw.'
            )
        can_reserve = abilities.can_reserve
        if not can_reserve and self.default_provisioning is Provisioning.THICK:
            raise exceptions.ConfigInvalid(
                f'[{self._section}] provisioning = thick needs a file system '
                f'that can reserve space, and that of {self._path} cannot '
                '(NFS can since 4.2): mount it otherwise, or choose thin.'
            )
        self.formats = frozenset({Format.RAW} if missing else Format)
        self.provisionings = frozenset(
            Provisioning if can_reserve else {Provisioning.THIN}
        )
        self.has_instant_copies = abilities.can_share
        self._copies = Copies(
            self._images,
            importer=self._importer,
            can_share=abilities.can_share,
        )
        self._managing = Managing(
            {format_: self._images[format_] for format_ in self.formats}
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
        self._check_offered(format_, provisioning)
        image = self._images[format_]
        image.check_size(parameters.size_bytes)
        with self._opened(f'Volume {volume_id}') as folder:
            turn = Turn(folder.fences, volume_id, context)
            present = self._adopt(folder, turn, volume_id, context)
            if present is not None:
                return present

            def fill(descriptor: int) -> None:
                image.fill(
                    descriptor, parameters.size_bytes, provisioning, context
                )

            draft = _draft(volume_id, format_, provisioning, context)
            label = publishing.make(folder, turn, draft, fill, context)
        return _facts(volume_id, parameters.size_bytes, label)

    def import_image(
        self,
        volume_id: str,
        parameters: ImportParameters,
        image: model.OpenImage,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        layout.check_identifier(context.event_id)
        format_ = parameters.format or self._format
        provisioning = parameters.provisioning or self.default_provisioning
        self._check_offered(format_, provisioning)
        self._check_offered(image.format, None)
        self._images[format_].check_size(parameters.size_bytes)
        with self._opened(f'Volume {volume_id}') as folder:
            turn = Turn(folder.fences, volume_id, context)
            present = self._adopt(folder, turn, volume_id, context)
            if present is not None:
                return present

            def fill(descriptor: int) -> None:
                self._importer.fill(
                    *(image, descriptor, parameters.size_bytes),
                    *(format_, provisioning, context),
                )

            draft = _draft(volume_id, format_, provisioning, context)
            label = publishing.make(folder, turn, draft, fill, context)
        return _facts(volume_id, parameters.size_bytes, label)

    def delete(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface.

        :raises EventRejected: what has the name is not a volume of ours.
        """
        layout.check_identifier(volume_id)
        layout.check_identifier(context.event_id)
        with self._opened(f'Volume {volume_id}') as folder:
            publishing.remove(
                folder,
                Turn(folder.fences, volume_id, context),
                layout.volume(volume_id),
                layout.scratch_name(
                    volume_id, context.event_id, context.fence
                ),
                context,
            )

    def discard(
        self, volume_id: str, context: interfaces.OperationContext
    ) -> None:
        """See the interface.

        :raises EventRejected: what has the name is not a volume of ours.
        """
        _check_names(volume_id, None, context)
        with self._opened(f'Volume {volume_id}') as folder:
            discarding.discard(folder, volume_id, context)

    def restore(
        self,
        volume_id: str,
        discarded_by: str,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        _check_names(volume_id, discarded_by, context)
        with self._opened(f'Volume {volume_id}') as folder:
            label = discarding.restore(
                folder, volume_id, discarded_by, context
            )
            return self._measured(folder, volume_id, label)

    def purge(
        self,
        volume_id: str,
        discarded_by: str,
        context: interfaces.OperationContext,
    ) -> None:
        """See the interface."""
        _check_names(volume_id, discarded_by, context)
        with self._opened(f'Volume {volume_id}') as folder:
            discarding.purge(folder, volume_id, discarded_by, context)

    def extend(
        self,
        volume_id: str,
        size_bytes: int,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(volume_id)
        with (
            self._opened(f'Volume {volume_id}') as folder,
            Turn(folder.fences, volume_id, context).held() as lock,
            finding.opened(
                folder, layout.volume(volume_id), self._images, os.O_RDWR
            ) as volume,
        ):
            label = volume.label
            image = self._images[label.format]
            image.check_size(size_bytes)
            if volume.size_bytes > size_bytes:
                raise exceptions.EventRejected(
                    f'Volume {volume_id} has {volume.size_bytes} bytes and '
                    f'cannot shrink to {size_bytes}.'
                )
            if volume.size_bytes < size_bytes:
                image.grow(
                    volume.descriptor,
                    size_bytes,
                    label.provisioning,
                    context,
                    lambda: contextlib.nullcontext(lock),
                )
            # Also after an earlier attempt that ended before this.
            os.fsync(volume.descriptor)
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

    def locate(self, volume_id: str) -> str | None:
        """See the interface. Only a raw file is its volume byte for byte."""
        facts = self.find(volume_id)
        if facts is None or facts.format is not Format.RAW:
            return None
        return os.path.join(self._path, layout.volume(volume_id).file)

    def snapshot(
        self,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> model.SnapshotFacts:
        """See the interface."""
        _check_names(volume_id, snapshot_id, context)
        with self._opened(f'Snapshot {snapshot_id}') as folder:
            return self._copies.snapshot(
                folder, volume_id, snapshot_id, context
            )

    def snapshot_group(
        self,
        snapshots: Mapping[str, str],
        context: interfaces.OperationContext,
    ) -> Sequence[model.SnapshotFacts]:
        """See the interface."""
        for volume_id, snapshot_id in snapshots.items():
            _check_names(volume_id, snapshot_id, context)
        with self._opened('Snapshots of a group') as folder:
            return groups.snapshot_group(
                folder, self._copies, snapshots, context
            )

    def delete_snapshot(
        self,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> None:
        """See the interface.

        :raises EventRejected: what has the name is not a snapshot of ours, or
            is one of another volume.
        """
        _check_names(volume_id, snapshot_id, context)
        with self._opened(f'Snapshot {snapshot_id}') as folder:
            self._copies.delete_snapshot(
                folder, volume_id, snapshot_id, context
            )

    def find_snapshot(self, snapshot_id: str) -> model.SnapshotFacts | None:
        """See the interface."""
        if not layout.is_identifier(snapshot_id):
            return None
        with self._opened(f'Snapshot {snapshot_id}') as folder:
            return self._copies.find_snapshot(folder, snapshot_id)

    def revert(
        self,
        volume_id: str,
        snapshot_id: str,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        _check_names(volume_id, snapshot_id, context)
        with self._opened(f'Volume {volume_id}') as folder:
            return self._copies.revert(folder, volume_id, snapshot_id, context)

    @contextlib.contextmanager
    def opened(
        self, volume_id: str, snapshot_id: str | None = None
    ) -> Iterator[model.OpenImage]:
        """See the interface."""
        for name in (volume_id, snapshot_id):
            if name is not None:
                layout.check_identifier(name)
        with (
            self._opened(f'Volume {volume_id}') as folder,
            self._copies.opened(folder, volume_id, snapshot_id) as source,
        ):
            yield model.OpenImage(
                descriptor=source.descriptor,
                format=source.label.format,
                size_bytes=source.size_bytes,
            )

    def clone(
        self,
        volume_id: str,
        parameters: CloneParameters,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts:
        """See the interface."""
        layout.check_identifier(parameters.source_id)
        _check_names(volume_id, parameters.snapshot_id, context)
        self._check_offered(parameters.format, parameters.provisioning)
        with self._opened(f'Volume {volume_id}') as folder:
            turn = Turn(folder.fences, volume_id, context)
            present = self._adopt(folder, turn, volume_id, context)
            if present is not None:
                return present
            return self._copies.clone(
                folder, turn, volume_id, parameters, context
            )

    def _check_offered(
        self, format_: Format | None, provisioning: Provisioning | None
    ) -> None:
        if format_ is not None and format_ not in self.formats:
            raise _not_offered('format', format_, self.formats)
        if provisioning is not None and provisioning not in self.provisionings:
            raise _not_offered(
                'provisioning', provisioning, self.provisionings
            )

    def _check_path(self) -> None:
        if not self._path:
            raise exceptions.ConfigInvalid(
                f'[{self._section}] path is not set: name the folder of the '
                'volumes.'
            )
        if not os.path.isabs(self._path):
            raise exceptions.ConfigInvalid(
                f'[{self._section}] path = {self._path} depends on where the '
                'agent is started: give it from the root on.'
            )
        if not os.path.isdir(self._path):
            raise exceptions.ConfigInvalid(
                f'[{self._section}] path = {self._path} is not a folder: '
                'mount the storage there, or make the folder.'
            )
        if self._require_mount and not os.path.ismount(self._path):
            raise exceptions.ConfigInvalid(
                f'[{self._section}] path = {self._path} is not a mount point: '
                'mount the storage there, or set require_mount = false.'
            )

    @contextlib.contextmanager
    def _opened(self, subject: str) -> Iterator[OpenFolder]:
        with translated(subject), self._folder.open() as folder:
            yield folder

    def _adopt(
        self,
        folder: OpenFolder,
        turn: Turn,
        volume_id: str,
        context: interfaces.OperationContext,
    ) -> model.VolumeFacts | None:
        """Return what an earlier attempt of this event has made, if it has.

        :raises EventRejected: something else has the name.
        """
        with turn.held():
            if context.attempt > 1:
                folder.revoke(volume_id, context.event_id, context.fence)
            label = publishing.adopt(folder, layout.volume(volume_id), context)
            if label is None:
                return None
            return self._measured(folder, volume_id, label)

    def _find(
        self, folder: OpenFolder, volume_id: str
    ) -> model.VolumeFacts | None:
        found = finding.look(folder, layout.volume(volume_id))
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
        place = layout.volume(volume_id)
        with (
            folder.opened(place.file, os.O_RDONLY) as descriptor,
            finding.damage_told(place),
        ):
            size_bytes = self._images[label.format].measure(descriptor)
        return _facts(volume_id, size_bytes, label)


def _check_names(
    volume_id: str,
    snapshot_id: str | None,
    context: interfaces.OperationContext,
) -> None:
    for name in (volume_id, snapshot_id, context.event_id):
        if name is not None:
            layout.check_identifier(name)


def _draft(
    volume_id: str,
    format_: Format,
    provisioning: Provisioning,
    context: interfaces.OperationContext,
) -> publishing.Draft:
    return publishing.Draft(
        place=layout.volume(volume_id),
        scratch=layout.scratch_name(
            volume_id, context.event_id, context.fence
        ),
        format=format_,
        provisioning=provisioning,
    )


def _facts(volume_id: str, size_bytes: int, label: Label) -> model.VolumeFacts:
    return model.VolumeFacts(
        volume_id=volume_id,
        size_bytes=size_bytes,
        format=label.format,
        provisioning=label.provisioning,
    )


def _not_offered(
    what: str, wanted: str, offered: Iterable[str]
) -> exceptions.EventRejected:
    return exceptions.EventRejected(
        f'The storage offers no {what} "{wanted}", only '
        f'{", ".join(sorted(offered))}.'
    )
