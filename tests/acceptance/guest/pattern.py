"""Bytes that can be made, and told, inside a guest and outside."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

MIB = 1024**2
GIB = 1024**3
_BLOCK = 64 * 1024


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A text, again and again, at one place of a volume.

    :param text: without quotes.
    """

    text: str
    offset_bytes: int
    size_bytes: int = 4 * MIB

    @property
    def content(self) -> bytes:
        """The bytes themselves."""
        line = f'{self.text}\n'.encode()
        count = -(-self.size_bytes // len(line))
        return (line * count)[: self.size_bytes]

    @property
    def checksum(self) -> str:
        """SHA-256 of the bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def source(self) -> str:
        """A command that prints them."""
        return f"yes '{self.text}' | head -c {self.size_bytes}"

    def write_to(self, device: str) -> str:
        """Return a command that writes them, and waits for the disk."""
        return (
            f'{self.source} | dd of={device} bs={_BLOCK} '
            f'seek={self.offset_bytes} oflag=seek_bytes iflag=fullblock '
            'conv=notrunc,fsync status=none'
        )

    def checksum_of(self, device: str) -> str:
        """Return a command that prints the SHA-256 of what is there now.

        What the guest remembers of the disk is forgotten first.
        """
        return (
            'echo 3 > /proc/sys/vm/drop_caches && '
            f'dd if={device} bs={_BLOCK} skip={self.offset_bytes} '
            f'count={self.size_bytes} iflag=skip_bytes,count_bytes,fullblock '
            'status=none | sha256sum'
        )

    def is_in(self, volume: Path) -> bool:
        """Say whether a volume's file has them."""
        with volume.open('rb') as file:
            file.seek(self.offset_bytes)
            return file.read(self.size_bytes) == self.content
