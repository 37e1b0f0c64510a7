"""The marks of an agent in memory. Part of ``FakeAgent``."""

from __future__ import annotations


class FakeMarks:
    """Leases by name. For one thread at a time.

    :ivar now_s: the time by which leases end; move it.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self.held: dict[str, tuple[str, float]] = {}
        self.settled: set[str] = set()

    def take(
        self, name: str, holder: str, lease_s: float
    ) -> dict[str, object]:
        """Answer the call ``take_mark``."""
        if name in self.settled:
            return {'is_granted': False, 'is_settled': True, 'wait_s': 0.0}
        other, until_s = self.held.get(name, (holder, 0.0))
        if other != holder and until_s > self.now_s:
            return {
                'is_granted': False,
                'is_settled': False,
                'wait_s': until_s - self.now_s,
            }
        self.held[name] = (holder, self.now_s + lease_s)
        return {'is_granted': True, 'is_settled': False, 'wait_s': 0.0}

    def settle(self, name: str) -> dict[str, object]:
        """Answer the call ``settle_mark``."""
        self.held.pop(name, None)
        self.settled.add(name)
        return {}
