"""Images that volumes are made from: which may be read, and what they are.

An image is a user's file, and whatever it says of itself may be a trap: a
qcow2 image can name any file of this machine as its backing file, a header
can promise a size that no disk has, and a file that is said to be raw may
begin as another format. So an image is opened once, under a folder that the
operator has named, recognised by its content, and refused unless it is what
it was said to be and safe. From then on the open file is used, never its
name.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import hashlib
import hmac
import os
import stat
from urllib import parse

from virtdc_agent.capacity import size_text
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import ImportParameters
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent import recognition

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_HASH_STEP_BYTES = 4 * 1024**2
_ALGORITHMS = ('sha512', 'sha384', 'sha256')


class ImageFolders(interfaces.Images):
    """The folders whose images may be read. Safe from any thread.

    :param folders: absolute paths; empty: no image can be read here.
    :raises ConfigInvalid: one of them is not there.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        for folder in folders:
            if not os.path.isabs(folder) or not os.path.isdir(folder):
                raise exceptions.ConfigInvalid(
                    f'[agent] image_folders has {folder}, which is not the '
                    'absolute path of a folder: mount the image store '
                    'there, or leave it out.'
                )
        self._folders = tuple(os.path.realpath(one) for one in folders)
        self._urls = tuple(
            'file://' + parse.quote(folder.rstrip('/') + '/')
            for folder in dict.fromkeys([*folders, *self._folders])
        )

    @property
    def urls(self) -> tuple[str, ...]:
        """See the interface."""
        return self._urls

    @contextlib.contextmanager
    def open(
        self,
        parameters: ImportParameters,
        context: interfaces.OperationContext,
    ) -> Iterator[model.OpenImage]:
        """See the interface."""
        descriptor = self._open(_path_of(parameters.url))
        try:
            try:
                image = _inspect(descriptor, parameters)
                _check_fits(image, parameters)
                _check_hash(descriptor, parameters, context)
            except OSError as exc:
                raise exceptions.BackendUnavailable(
                    'The image cannot be read: its store has to be looked at.'
                ) from exc
            yield image
        finally:
            os.close(descriptor)

    def _open(self, path: str) -> int:
        real = os.path.realpath(path)
        if not self._is_inside(real):
            raise _not_readable()
        try:
            descriptor = os.open(real, _FILE)
        except OSError as exc:
            raise _not_readable() from exc
        # The path may have been changed since it was resolved; what is open
        # has only one place.
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if not is_file or not self._is_inside(
            os.readlink(f'/proc/self/fd/{descriptor}')
        ):
            os.close(descriptor)
            raise _not_readable()
        return descriptor

    def _is_inside(self, path: str) -> bool:
        return any(
            os.path.commonpath([folder, path]) == folder
            for folder in self._folders
        )


def _path_of(url: str) -> str:
    parts = parse.urlsplit(url)
    path = parse.unquote(parts.path)
    if (
        parts.scheme != 'file'
        or parts.netloc not in ('', 'localhost')
        or parts.query
        or parts.fragment
        or not os.path.isabs(path)
        or '\0' in path
    ):
        raise _not_readable()
    return path


def _inspect(descriptor: int, parameters: ImportParameters) -> model.OpenImage:
    try:
        found = recognition.recognise(descriptor)
    except recognition.Unsafe as exc:
        _check_said(parameters.image_format, exc.name)
        raise exceptions.EventRejected(
            f'The image is not safe ({exc}): it may refer to files of the '
            'data centre, and is not used.'
        ) from exc
    except recognition.Unrecognised as exc:
        raise exceptions.EventRejected(
            f'The image cannot be recognised ({exc}): it is not used.'
        ) from exc
    said = parameters.image_format
    is_raw = said == Format.RAW and found.format is Format.RAW
    if not is_raw:
        _check_said(said, found.name)
    if not is_raw and found.format is not Format.QCOW2:
        raise exceptions.EventRejected(
            f'Images of the format {found.name} are not read here, only raw '
            'and qcow2.'
        )
    return model.OpenImage(
        descriptor=descriptor,
        format=Format.RAW if is_raw else Format.QCOW2,
        size_bytes=found.size_bytes,
    )


def _check_said(said: str, name: str) -> None:
    if said != name:
        raise exceptions.EventRejected(
            f'The image is said to be {said}, but begins as {name}: it is '
            'not used.'
        )


def _check_fits(image: model.OpenImage, parameters: ImportParameters) -> None:
    if image.size_bytes > parameters.size_bytes:
        raise exceptions.EventRejected(
            f'The image is of {size_text(image.size_bytes)} and does not fit '
            f'into {size_text(parameters.size_bytes)}: ask for a larger '
            'volume.'
        )


def _check_hash(
    descriptor: int,
    parameters: ImportParameters,
    context: interfaces.OperationContext,
) -> None:
    if not parameters.hash_value:
        return
    if parameters.hash_algorithm not in _ALGORITHMS:
        raise exceptions.EventRejected(
            f'The checksum {parameters.hash_algorithm} is not computed here, '
            f'only {", ".join(_ALGORITHMS)}.'
        )
    digest = hashlib.new(parameters.hash_algorithm)
    total = os.fstat(descriptor).st_size
    position = 0
    while block := os.pread(descriptor, _HASH_STEP_BYTES, position):
        context.check()
        digest.update(block)
        position += len(block)
        context.report(position, total, 'verifying')
    if not hmac.compare_digest(
        digest.hexdigest(), parameters.hash_value.lower()
    ):
        raise exceptions.EventRejected(
            f"The image's {parameters.hash_algorithm} is not what it was "
            'said to be: it is damaged, and not used.'
        )


def _not_readable() -> exceptions.EventRejected:
    # The same sentence for all: who asks must not learn what there is.
    return exceptions.EventRejected(
        'The image is not in a place that the data centre may read.'
    )
