"""What a guest reads from a qcow2 image, and writes to it."""

from __future__ import annotations

from pathlib import Path
import subprocess
import tempfile

_OFFSET = 0x00FFFFFFFFFFFE00
_READS_AS_ZEROS = 1


def read(path: Path, offset: int, length: int) -> bytes:
    """Read by the image's own tables: rules read in great numbers.

    That qemu finds the same is a test of the backend's.
    """
    image = path.read_bytes()
    cluster = 1 << _number(image, 20, 4)
    length = min(length, _number(image, 24, 8) - offset)
    content = b''
    while len(content) < length:
        at = offset + len(content)
        start = _cluster(image, at // cluster, cluster)
        part = image[start + at % cluster : start + cluster] if start else b''
        # The last one in the file may not be whole.
        content += part.ljust(cluster - at % cluster, b'\0')
    return content[:length]


def write(path: Path, offset: int, content: bytes) -> None:
    """Write as a guest does."""
    with tempfile.NamedTemporaryFile() as source:
        source.write(content)
        source.flush()
        subprocess.run(
            [
                *('qemu-io', '-f', 'qcow2', '-c'),
                f'write -s {source.name} {offset} {len(content)}',
                path,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )


def _cluster(image: bytes, number: int, cluster: int) -> int:
    """Return where a cluster is; 0 if it is all zeros."""
    in_table = cluster // 8
    level_1 = _number(image, 40, 8)
    level_2 = _number(image, level_1 + 8 * (number // in_table), 8) & _OFFSET
    if not level_2:
        return 0
    found = _number(image, level_2 + 8 * (number % in_table), 8)
    return 0 if found & _READS_AS_ZEROS else found & _OFFSET


def _number(image: bytes, at: int, length: int) -> int:
    return int.from_bytes(image[at : at + length], 'big')
