"""What can be configured to happen by itself."""

from __future__ import annotations

import enum


class Policy(enum.StrEnum):
    """What happens to a volume that the data centre has deleted."""

    ASK = 'ask'
    """A person decides."""
    RESTORE = 'restore'
    """It is taken out of the trash again."""
    RECREATE = 'recreate'
    """An empty one of the same id and size is made."""
    FORGET = 'forget'
    """Cinder deletes its record, if nothing uses the volume."""
