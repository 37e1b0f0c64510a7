"""The folder of the volumes: what can be done there, safely.

Everything is reached from the folder's own descriptor, by names that hold no
slash, and no symbolic link is followed. The folder is opened anew for every
operation and recognised by its identity, so that a share that was unmounted
is noticed and not written around.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
import contextlib
import dataclasses
import errno
import fcntl
import logging
import os
import stat
import uuid

from virtdc_agent.backends import copying
from virtdc_agent.backends.label import Label
from virtdc_agent.backends import layout
from virtdc_agent.backends import space
from virtdc_agent.backends import turn
from virtdc_agent import exceptions

LOG = logging.getLogger(__name__)

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LABEL_MODE = 0o640
_VOLUME_MODE = 0o660
"""Owner and group: who is to use volumes is in the folder's group.

A folder with the set-group-id bit hands its group down; without it the group
is the agent's own, and nobody else reads a volume.
"""
_MAX_LABEL_BYTES = 4096


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What the file system can do that not all can.

    :param can_reserve: set space aside.
    :param can_share: copy a file at once, as both have the same blocks.
    """

    can_reserve: bool
    can_share: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OpenFolder:
    """The folder and those in it, open. Not shared between threads.

    :raises OSError: from any method.
    """

    root: int
    labels: int
    fences: int
    temporary: int
    trash: int
    discarded: int

    def discard(self, name: str, kept: str) -> None:
        """Take a name away, at once and for good, and keep the file."""
        os.rename(name, kept, src_dir_fd=self.root, dst_dir_fd=self.discarded)
        self.sync()
        os.fsync(self.discarded)

    def bring_back(self, kept: str, name: str) -> None:
        """Give what was kept its name again, at once and for good.

        :raises FileExistsError: something has that name; it is untouched.
        """
        try:
            os.link(
                kept,
                name,
                src_dir_fd=self.discarded,
                dst_dir_fd=self.root,
                follow_symlinks=False,
            )
        except FileExistsError:
            # Linked already, by this or by an attempt that ended here.
            made = os.lstat(kept, dir_fd=self.discarded)
            if not os.path.samestat(made, os.lstat(name, dir_fd=self.root)):
                raise
        try:
            self.sync()
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self.root)
            raise

    def find_discarded(self, kept: str) -> os.stat_result | None:
        """Return what is kept under this name."""
        try:
            return os.lstat(kept, dir_fd=self.discarded)
        except FileNotFoundError:
            return None

    def forget_discarded(self, kept: str) -> None:
        """Remove what is kept, and then its label; none is fine."""
        for name in (kept, layout.label_of(kept)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self.discarded)
        os.fsync(self.discarded)

    def make_temporary(self, name: str) -> int:
        """Make an empty file that is no volume yet; return it open.

        What a file of this name held is not reused.
        """
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.temporary)
        descriptor = os.open(
            name,
            os.O_RDWR | os.O_CREAT | os.O_EXCL | _FILE,
            _VOLUME_MODE,
            dir_fd=self.temporary,
        )
        try:
            # The process's umask is meant for its own files.
            os.fchmod(descriptor, _VOLUME_MODE)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def publish(self, temporary: str, name: str) -> None:
        """Give a temporary file its name, at once and for good.

        A link, as renaming would replace what has that name.

        :raises FileExistsError: something has that name; it is untouched.
        :raises OSError: the name is not given, as far as that can be helped.
        """
        try:
            os.link(
                temporary,
                name,
                src_dir_fd=self.temporary,
                dst_dir_fd=self.root,
                follow_symlinks=False,
            )
        except FileExistsError:
            # NFS may have lost the answer to a link that was made.
            made = os.lstat(temporary, dir_fd=self.temporary)
            found = os.lstat(name, dir_fd=self.root)
            if not os.path.samestat(made, found):
                raise
        try:
            self.sync()
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self.root)
            raise
        self.drop_temporary(temporary)

    def replace(self, temporary: str, name: str) -> None:
        """Put a temporary file in the place of one that has a name, at once.

        :raises FileNotFoundError: the temporary file was swept away.
        """
        os.rename(
            temporary, name, src_dir_fd=self.temporary, dst_dir_fd=self.root
        )
        self.sync()

    def drop_temporary(self, name: str) -> None:
        """Remove a temporary file. What fails here, ``sweep`` makes good."""
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self.temporary)

    def find(self, name: str) -> os.stat_result | None:
        """Return what has this name, a link itself and not its target."""
        try:
            return os.lstat(name, dir_fd=self.root)
        except FileNotFoundError:
            return None

    @contextlib.contextmanager
    def opened(self, name: str, flags: int) -> Iterator[int]:
        """Open a regular file while the body runs."""
        descriptor = os.open(name, flags | _FILE, dir_fd=self.root)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileNotFoundError(name)
            yield descriptor
        finally:
            os.close(descriptor)

    def throw_away(self, name: str, trash_name: str) -> None:
        """Take a name away, at once and for good; the file is in the trash."""
        os.rename(
            name, trash_name, src_dir_fd=self.root, dst_dir_fd=self.trash
        )
        self.sync()

    def empty_trash(self, trash_name: str) -> None:
        """Free the space of what was thrown away."""
        os.unlink(trash_name, dir_fd=self.trash)

    def sync(self) -> None:
        """Make durable which names there are."""
        os.fsync(self.root)

    def names(self) -> list[str]:
        """Return every name in the folder."""
        return os.listdir(self.root)

    def read_label(self, name: str, *, is_kept: bool = False) -> Label | None:
        """Return the label of a volume or a snapshot.

        :param is_kept: of one that was discarded.
        :raises ValueError: it is damaged.
        """
        folder = self.discarded if is_kept else self.labels
        try:
            descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=folder)
        except FileNotFoundError:
            return None
        try:
            return Label.from_bytes(os.read(descriptor, _MAX_LABEL_BYTES))
        finally:
            os.close(descriptor)

    def write_label(
        self,
        name: str,
        label: Label,
        scratch: str,
        *,
        is_kept: bool = False,
    ) -> None:
        """Put a label, durably, in the place of one that is there.

        :param scratch: a name of a temporary file for it.
        :param is_kept: of what is discarded.
        """
        folder = self.discarded if is_kept else self.labels
        self._write(self.temporary, scratch, label.to_bytes())
        os.rename(scratch, name, src_dir_fd=self.temporary, dst_dir_fd=folder)
        os.fsync(folder)

    def remove_label(self, name: str) -> None:
        """Remove a label; one that is not there is fine."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.labels)

    def label_names(self) -> list[str]:
        """Return the names of all labels."""
        return os.listdir(self.labels)

    def sync_labels(self) -> None:
        """Make durable which labels there are."""
        os.fsync(self.labels)

    def link(self, name: str, other: str) -> None:
        """Give a file another name, at once and for good.

        :raises FileExistsError: something has that name; it is untouched.
        """
        os.link(
            name,
            other,
            src_dir_fd=self.root,
            dst_dir_fd=self.root,
            follow_symlinks=False,
        )

    def hand_over(self, descriptor: int) -> None:
        """Let those use an open file who may use those that are made here."""
        status, root = os.fstat(descriptor), os.fstat(self.root)
        if root.st_mode & stat.S_ISGID and status.st_gid != root.st_gid:
            os.fchown(descriptor, -1, root.st_gid)
        if stat.S_IMODE(status.st_mode) != _VOLUME_MODE:
            os.fchmod(descriptor, _VOLUME_MODE)

    def unlink(self, name: str) -> None:
        """Take a name away; one that is not there is fine. Not synced."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.root)

    def revoke(self, volume_id: str, event_id: str, fence: int) -> None:
        """Take from earlier attempts of an event what they have prepared.

        They cannot give it a name any more.
        """
        beginning = f'{volume_id}.{event_id}.'
        for name in os.listdir(self.temporary):
            earlier = layout.fence_of(name)
            if (
                name.startswith(beginning)
                and earlier is not None
                and earlier < fence
            ):
                self.drop_temporary(name)

    def sweep(
        self, held: Callable[[], Collection[int]], older_than: float
    ) -> list[str]:
        """Remove temporary files, trash, and labels and fences of nothing.

        :param held: returns the fences of what may still go on.
        :param older_than: younger fences are kept; seconds since 1970.
        """
        scratch = [
            (folder, descriptor, name)
            for folder, descriptor in (
                (layout.TEMPORARY, self.temporary),
                (layout.TRASH, self.trash),
            )
            for name in os.listdir(descriptor)
        ]
        labels, fences = os.listdir(self.labels), os.listdir(self.fences)
        kept = os.listdir(self.discarded)
        present = set(self.names())
        going_on = held()
        removed = []
        for folder, descriptor, name in scratch:
            if layout.fence_of(name) in going_on:
                continue
            with contextlib.suppress(FileNotFoundError):
                if _is_free(descriptor, name):
                    os.unlink(name, dir_fd=descriptor)
                    removed.append(f'{folder}/{name}')
        for label in labels:
            if turn.highest_fence(
                self.fences, label
            ) not in going_on and self._is_gone(label, present):
                self.remove_label(label)
                removed.append(f'{layout.LABELS}/{label}')
        removed += self._sweep_discarded(kept, older_than)
        for fence in fences:
            if self._is_gone(fence, present):
                turn.remove_ended(self.fences, fence, older_than)
        return removed

    def _sweep_discarded(
        self, names: Collection[str], older_than: float
    ) -> Iterator[str]:
        """Remove old labels of nothing: their file was never discarded."""
        for name in names:
            file = layout.labelled_by(name)
            if file is None or self.find_discarded(file) is not None:
                continue
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(name, dir_fd=self.discarded)
                if found.st_mtime < older_than:
                    os.unlink(name, dir_fd=self.discarded)
                    yield f'{layout.DISCARDED}/{name}'

    def _is_gone(self, label: str, present: Collection[str]) -> bool:
        # Asked again by name: a listing alone is not enough to throw away
        # what cannot be made again.
        name = layout.file_of(label)
        return name not in present and self.find(name) is None

    def identify(self) -> str:
        """Return the folder's identity; give it one if it has none."""
        while True:
            identity = _read_identity(self.root)
            if identity is not None:
                return identity
            # Several agents may start at once; the first link wins.
            scratch = f'identity.{uuid.uuid4().hex}'
            self._write(self.temporary, scratch, uuid.uuid4().hex.encode())
            with contextlib.suppress(FileExistsError):
                self.publish(scratch, layout.IDENTITY)
            self.drop_temporary(scratch)

    @staticmethod
    def _write(folder: int, name: str, content: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        descriptor = os.open(
            name,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE,
            _LABEL_MODE,
            dir_fd=folder,
        )
        try:
            if os.write(descriptor, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Folder:
    """The configured folder, closed. Safe from any thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = ''
        self._place: tuple[int, int] | None = None

    def prepare(self) -> Abilities:
        """Make what is missing in the folder, and learn its identity.

        Writes, links and removes a file: what cannot do that is of no use.

        :raises OSError: it cannot be used.
        """
        root = os.open(self._path, _FOLDER & ~os.O_NOFOLLOW)
        try:
            for name in layout.FOLDERS:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=root)
            with _inside(root) as folder:
                self._identity = folder.identify()
                try:
                    abilities = self._try_out(folder)
                except OSError as exc:
                    if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    # Used before, and full. Who is to make room needs an
                    # agent that deletes; what cannot be reserved, a create
                    # is told.
                    LOG.warning('%s is full: nothing can be made', self._path)
                    abilities = Abilities(can_reserve=True, can_share=False)
            self._place = _place_of(root)
            return abilities
        finally:
            os.close(root)

    @contextlib.contextmanager
    def open(self) -> Iterator[OpenFolder]:
        """Hold the folder open while the body runs.

        :raises BackendUnavailable: this is not the folder it was at first.
        :raises OSError: it cannot be opened.
        """
        root = os.open(self._path, _FOLDER & ~os.O_NOFOLLOW)
        try:
            self._recognise(root)
            with _inside(root) as folder:
                yield folder
        finally:
            os.close(root)

    def _recognise(self, root: int) -> None:
        place = _place_of(root)
        if place == self._place:
            return
        # A share that was mounted again may have another device number.
        if not self._identity or _read_identity(root) != self._identity:
            raise exceptions.BackendUnavailable(
                'The storage is not the one that the agent started with; its '
                'operator has to see that its share is mounted, or restart '
                'the agent.'
            )
        self._place = place

    @staticmethod
    def _try_out(folder: OpenFolder) -> Abilities:
        first, second, third = (f'probe.{uuid.uuid4().hex}' for _ in range(3))
        with contextlib.ExitStack() as stack:

            def make(name: str) -> int:
                descriptor = folder.make_temporary(name)
                stack.callback(folder.drop_temporary, name)
                stack.callback(os.close, descriptor)
                # Until it is closed, nobody sweeps it away.
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                return descriptor

            descriptor = make(first)
            os.fsync(descriptor)
            os.link(
                first,
                second,
                src_dir_fd=folder.temporary,
                dst_dir_fd=folder.temporary,
                follow_symlinks=False,
            )
            os.unlink(second, dir_fd=folder.temporary)
            return Abilities(
                can_reserve=space.can_reserve(descriptor),
                can_share=copying.can_share(descriptor, make(third)),
            )


def _read_identity(root: int) -> str | None:
    """Return the identity of an open folder, if it has one."""
    try:
        descriptor = os.open(layout.IDENTITY, os.O_RDONLY | _FILE, dir_fd=root)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, _MAX_LABEL_BYTES).decode('ascii', 'replace')
    finally:
        os.close(descriptor)


def _is_free(folder: int, name: str) -> bool:
    """Say whether nobody has a scratch file locked, if it is one of those."""
    if layout.fence_of(name) is not None:
        return True
    descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _place_of(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


@contextlib.contextmanager
def _inside(root: int) -> Iterator[OpenFolder]:
    with contextlib.ExitStack() as stack:

        def enter(name: str) -> int:
            descriptor = os.open(name, _FOLDER, dir_fd=root)
            stack.callback(os.close, descriptor)
            return descriptor

        yield OpenFolder(
            root=root,
            labels=enter(layout.LABELS),
            fences=enter(layout.FENCES),
            temporary=enter(layout.TEMPORARY),
            trash=enter(layout.TRASH),
            discarded=enter(layout.DISCARDED),
        )
