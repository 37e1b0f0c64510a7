"""What a volume or a snapshot is, kept beside it and never inside.

A guest writes every byte of a raw volume, so nothing may be concluded from
what a file begins with: a guest could write the header of a qcow2 image that
names any file of the host as its backing file. Extended attributes would be
the natural place, but NFS before 4.2 has none, and copies lose them. So each
volume has a label: a small file, durable before the volume is visible. A file
without one is not a volume. Snapshots are the same.
"""

from __future__ import annotations

import dataclasses
import json

from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning

_VERSION = 1
ANY_INODE = 0
"""No file has this number."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is known of a volume or a snapshot.

    :param event_id: the event that made it.
    :param inode: the number of its file when it was made. With the event it
        tells a file that an earlier attempt made from one that came from
        elsewhere under the same name. Only then: it changes when a folder is
        copied. ``ANY_INODE`` if the file was replaced since: whatever then
        has the name is ours.
    :param provisioning: of the volume; of a snapshot, its volume's.
    :param snapshot_of: the volume of which it is a snapshot; empty: it is a
        volume.
    :param lineage: the id that a volume had first, if it was given up and
        managed again since: its snapshots of then are its own.
    """

    event_id: str
    inode: int
    format: Format
    provisioning: Provisioning
    snapshot_of: str = ''
    lineage: str = ''

    def to_bytes(self) -> bytes:
        """Return the content of the label's file."""
        return json.dumps(
            {'version': _VERSION, **dataclasses.asdict(self)}, sort_keys=True
        ).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Label:
        """Read the content of a label's file.

        :raises ValueError: it is damaged, or of another version.
        """
        data = json.loads(content)
        match data:
            case {
                'version': 1,
                'event_id': str(event_id),
                'inode': int(inode),
                'format': str(format_),
                'provisioning': str(provisioning),
            }:
                # Labels from before there were snapshots do not have it.
                snapshot_of = data.get('snapshot_of', '')
                lineage = data.get('lineage', '')
                if isinstance(snapshot_of, str) and isinstance(lineage, str):
                    return cls(
                        event_id=event_id,
                        inode=inode,
                        format=Format(format_),
                        provisioning=Provisioning(provisioning),
                        snapshot_of=snapshot_of,
                        lineage=lineage,
                    )
        raise ValueError('not a label of version 1')
