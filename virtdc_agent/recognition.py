"""What a file is, by its content, and whether it is safe to use.

A qcow2 image can name any file of this machine as its backing file, a header
can promise a size that no disk has, and a file that is said to be raw may
begin as another format. What is not recognised beyond doubt is refused. The
checks are those of oslo.utils, which Nova, Cinder and Glance use since
CVE-2024-32498.
"""

from __future__ import annotations

import dataclasses
import os

from oslo_utils.imageutils import format_inspector

from virtdc_agent.contract.events import Format

_RAW = frozenset({'raw', 'gpt', 'iso'})
"""What a raw disk may hold at its beginning without being another format."""


class Unrecognised(ValueError):
    """A file that is not to be used; says why, as the end of a sentence."""


class Unsafe(Unrecognised):
    """A file that may refer to others.

    :param name: of its format.
    """

    def __init__(self, why: str, name: str) -> None:
        super().__init__(why)
        self.name = name


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """A file that was looked at and is safe.

    :param name: of its format, as people know it.
    :param format: ``None``: none that a volume can be in.
    :param size_bytes: of the disk in it.
    """

    name: str
    format: Format | None
    size_bytes: int


def recognise(descriptor: int) -> Recognised:
    """Look at an open file.

    :raises Unrecognised: it is not clear what it is, or not safe.
    :raises OSError: it cannot be read.
    """
    try:
        found = format_inspector.detect_file_format(
            f'/proc/self/fd/{descriptor}'
        )
        if found is None:
            raise Unrecognised('unknown format')
        name = str(found)
        if name != 'gpt':
            # The partitions of a raw disk are its user's business.
            found.safety_check()
    except format_inspector.SafetyCheckFailed as exc:
        raise Unsafe(', '.join(sorted(exc.failures)), name) from exc
    except format_inspector.ImageFormatError as exc:
        raise Unrecognised(str(exc)) from exc
    if name in _RAW:
        return Recognised(
            name=name,
            format=Format.RAW,
            size_bytes=os.fstat(descriptor).st_size,
        )
    return Recognised(
        name=name,
        format=Format.QCOW2 if name == Format.QCOW2 else None,
        size_bytes=int(found.virtual_size),
    )
