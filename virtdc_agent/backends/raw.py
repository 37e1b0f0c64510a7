"""Volumes whose file is byte for byte what their user sees."""

from __future__ import annotations

import contextlib
import os

from virtdc_agent.backends import copying
from virtdc_agent.backends.copying import Original
from virtdc_agent.backends.image import Lock
from virtdc_agent.backends import space
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import interfaces


class RawImage:
    """The format ``raw``. See ``image.Image`` for the promises."""

    def check_size(self, size_bytes: int) -> None:
        """Accept any; what the file system cannot hold, it refuses."""

    def fill(
        self,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> None:
        """Make a hole, or zeros: reserved first, so that it surely fits."""
        if provisioning is Provisioning.THICK:
            space.reserve(descriptor, 0, size_bytes, context)
            space.write_zeros(descriptor, size_bytes, context)
        else:
            os.ftruncate(descriptor, size_bytes)

    def fill_from(
        self,
        original: Original,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
    ) -> None:
        """Copy, and move the end of the copy.

        What a thick copy has more than its original had written is reserved,
        as it is when it grows.
        """
        if provisioning is Provisioning.THICK:
            space.reserve(descriptor, 0, size_bytes, context)
        copying.copy(original, descriptor, provisioning, context)
        os.ftruncate(descriptor, size_bytes)

    def measure(self, descriptor: int) -> int:
        """Return the file's size."""
        return os.fstat(descriptor).st_size

    def grow(
        self,
        descriptor: int,
        size_bytes: int,
        provisioning: Provisioning,
        context: interfaces.OperationContext,
        lock: Lock,
    ) -> None:
        """Move the end of the file, in one step.

        What a thick volume gains is reserved behind its end beforehand, and
        not written: nothing behind the end of a file can be, and after the
        step the space is the user's to write. A volume in use may grow.
        """
        if provisioning is not Provisioning.THICK:
            context.begin_commit()
            os.ftruncate(descriptor, size_bytes)
            return
        try:
            space.reserve(
                descriptor, self.measure(descriptor), size_bytes, context
            )
            context.begin_commit()
            os.ftruncate(descriptor, size_bytes)
        except Exception:
            with contextlib.suppress(OSError):
                space.release(descriptor)
            raise
