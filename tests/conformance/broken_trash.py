"""Backends that keep what was deleted, and break one rule each."""

from __future__ import annotations

from virtdc_agent.backends.memory import MemoryBackend


class ThrowsAway(MemoryBackend):
    """Keeps nothing."""

    def discard(self, volume_id, context):
        self.delete(volume_id, context)


class LeavesInSight(MemoryBackend):
    """Finds what it has discarded."""

    def find(self, volume_id):
        found = super().find(volume_id)
        for (kept, _), volume in self.storage.discarded.items():
            if found is None and kept == volume_id:
                return self._facts(volume_id, volume)
        return found

    @staticmethod
    def _facts(volume_id, volume):
        from virtdc_agent.backends.memory_steps import facts_of

        return facts_of(volume_id, volume)


class LosesBytes(MemoryBackend):
    """Restores the size alone."""

    def restore(self, volume_id, discarded_by, context):
        kept = self.storage.discarded.get((volume_id, discarded_by))
        if kept is not None:
            kept.written.clear()
        return super().restore(volume_id, discarded_by, context)


class KeepsTheLast(MemoryBackend):
    """Forgets what it kept when it is asked again."""

    def discard(self, volume_id, context):
        if volume_id not in self.storage.volumes:
            self.storage.discarded.clear()
        super().discard(volume_id, context)


class RestoresOnce(MemoryBackend):
    """Does not know what it has restored."""

    def restore(self, volume_id, discarded_by, context):
        if context.attempt > 1 and volume_id in self.storage.volumes:
            raise AssertionError('restored already')
        return super().restore(volume_id, discarded_by, context)


class Replaces(MemoryBackend):
    """Restores over what is there."""

    def restore(self, volume_id, discarded_by, context):
        if (volume_id, discarded_by) in self.storage.discarded:
            self.storage.volumes.pop(volume_id, None)
        return super().restore(volume_id, discarded_by, context)


class RestoresAny(MemoryBackend):
    """Does not look whose it is."""

    def restore(self, volume_id, discarded_by, context):
        for kept, event_id in self.storage.discarded:
            if kept == volume_id and discarded_by == 'other':
                discarded_by = event_id
        return super().restore(volume_id, discarded_by, context)


class PurgesAll(MemoryBackend):
    """Empties the trash at once."""

    def purge(self, volume_id, discarded_by, context):
        for kept, event_id in list(self.storage.discarded):
            super().purge(kept, event_id, context)


class TakesStrangers(MemoryBackend):
    """Discards whatever has the name."""

    def discard(self, volume_id, context):
        self.storage.strangers.discard(volume_id)
        super().discard(volume_id, context)
