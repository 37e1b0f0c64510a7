"""Backends whose volumes move, and that break one rule each."""

from __future__ import annotations

import contextlib
import dataclasses
import os

from virtdc_agent.backends.memory import MemoryBackend


class MeasuresTheOld(MemoryBackend):
    """Opens a volume with the size that it had at first."""

    @contextlib.contextmanager
    def opened(self, volume_id, snapshot_id=None):
        with super().opened(volume_id, snapshot_id) as image:
            yield dataclasses.replace(image, size_bytes=1024**2)


class LosesTheEnd(MemoryBackend):
    """Opens the first half of a volume, and holes."""

    @contextlib.contextmanager
    def opened(self, volume_id, snapshot_id=None):
        with super().opened(volume_id, snapshot_id) as image:
            os.ftruncate(image.descriptor, image.size_bytes // 2)
            os.ftruncate(image.descriptor, image.size_bytes)
            yield image


class OpensWhatIsNow(MemoryBackend):
    """Takes a snapshot for its volume."""

    @contextlib.contextmanager
    def opened(self, volume_id, snapshot_id=None):
        if snapshot_id is not None:
            self._source(volume_id, snapshot_id)
        with super().opened(volume_id) as image:
            yield image


class LeavesALock(MemoryBackend):
    """Leaves something behind whenever a volume was opened."""

    @contextlib.contextmanager
    def opened(self, volume_id, snapshot_id=None):
        with super().opened(volume_id, snapshot_id) as image:
            yield image
        self.storage.leftovers['lock'] = 0


class OpensNothing(MemoryBackend):
    """Opens an empty volume where there is none."""

    @contextlib.contextmanager
    def opened(self, volume_id, snapshot_id=None):
        known = volume_id if volume_id in self.storage.volumes else 'first'
        with super().opened(known, snapshot_id) as image:
            yield image
