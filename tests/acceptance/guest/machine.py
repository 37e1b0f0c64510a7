"""A guest and the host that it runs on, as one thing to work with."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import time
from typing import Any

from tests.acceptance.guest.cloud import Attachment
from tests.acceptance.guest.cloud import Cloud
from tests.acceptance.guest.compute import Compute
from tests.acceptance.guest.console import Console
from tests.acceptance.guest.pattern import Pattern

_SEEN_S = 30.0
_SERIAL = 20
"""How much of its serial number a virtio disk tells."""


class Unexpected(Exception):
    """Something is not as it has to be."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """An attached volume.

    :param target: libvirt's name of it.
    :param connection_info: as Nova keeps it.
    :param name: the guest's name of it.
    """

    attachment: Attachment
    target: str
    connection_info: dict[str, Any]
    name: str

    @property
    def device(self) -> str:
        """Where the guest finds it."""
        return f'/dev/{self.name}'

    @property
    def volume_id(self) -> str:
        """The volume."""
        return self.attachment.volume_id


class Machine:
    """Attaches volumes to a running guest, as Nova does."""

    def __init__(
        self, server_id: str, cloud: Cloud, compute: Compute, console: Console
    ) -> None:
        self.server_id = server_id
        self.console = console
        self._cloud = cloud
        self._compute = compute
        self.disks: dict[str, Disk] = {}

    def attach(
        self,
        volume_id: str,
        *,
        mode: str | None = None,
        multiattach: bool = False,
    ) -> Disk:
        """Attach a volume, and wait until the guest sees it."""
        used = {disk.target for disk in self.disks.values()}
        target = next(
            name
            for name in (f'vd{letter}' for letter in 'bcdefgh')
            if name not in used
        )
        attachment = self._cloud.attach(
            volume_id,
            self.server_id,
            self._compute.ask('connector'),
            mode=mode,
        )
        connection_info = self._compute.ask(
            'attach',
            instance=self.server_id,
            attachment=attachment.answer,
            device=target,
            multiattach=multiattach,
        )
        self._cloud.complete(attachment)
        disk = Disk(
            attachment=attachment,
            target=target,
            connection_info=connection_info,
            name=until(
                f'the guest sees volume {volume_id}',
                lambda: self._name_of(volume_id),
            ),
        )
        self.disks[volume_id] = disk
        return disk

    def detach(self, disk: Disk) -> None:
        """Detach a volume, and wait until the guest sees it no more."""
        self._compute.ask(
            'detach',
            instance=self.server_id,
            connection_info=disk.connection_info,
            device=disk.target,
        )
        until(
            f'the guest has lost volume {disk.volume_id}',
            lambda: not self._name_of(disk.volume_id),
        )
        self._cloud.detach(disk.attachment)
        del self.disks[disk.volume_id]

    def extended(self, volume_id: str) -> None:
        """Do what Nova does when Cinder says that a volume has grown."""
        disk = self.disks.get(volume_id)
        if disk is not None:
            size_gib = int(self._cloud.show(volume_id)['size'])
            self._compute.ask(
                'extend',
                instance=self.server_id,
                connection_info=disk.connection_info,
                size_bytes=size_gib * 1024**3,
            )

    def description(self) -> str:
        """Return what libvirt says of the guest."""
        return str(self._compute.ask('describe', instance=self.server_id))

    def size_of(self, disk: Disk) -> int:
        """Return a disk's bytes, as the guest sees them."""
        return 512 * int(self.attribute(disk, 'size'))

    def attribute(self, disk: Disk, name: str) -> str:
        """Return what the guest's kernel knows of a disk, as ``ro``."""
        return self.console.run(f'cat /sys/block/{disk.name}/{name}')

    def write(self, disk: Disk, pattern: Pattern) -> None:
        """Have the guest write a pattern, to the disk and not only to it."""
        self.console.run(pattern.write_to(disk.device))

    def check(self, disk: Disk, pattern: Pattern) -> None:
        """See that the guest reads a pattern.

        :raises Unexpected: it reads something else.
        """
        read = self.console.run(pattern.checksum_of(disk.device)).split()[0]
        if read != pattern.checksum:
            raise Unexpected(
                f'{disk.device} (volume {disk.volume_id}) does not have '
                f'{pattern.text!r} at {pattern.offset_bytes}.'
            )

    def _name_of(self, volume_id: str) -> str:
        """Return the guest's name of a volume; empty if there is none."""
        found = self.console.run(
            f'grep -l "^{volume_id[:_SERIAL]}" /sys/block/vd*/serial '
            '2>/dev/null || true'
        )
        return found.split('/')[3] if found else ''


def until(what: str, ask: Callable[[], Any]) -> Any:
    """Wait for something to be so, and return it.

    :raises Unexpected: it is not.
    """
    end = time.monotonic() + _SEEN_S
    while True:
        found = ask()
        if found:
            return found
        if time.monotonic() > end:
            raise Unexpected(f'Not so after {_SEEN_S:g} s: {what}')
        time.sleep(0.02)


def expect(condition: object, what: str) -> None:
    """See that something is so.

    :raises Unexpected: it is not.
    """
    if not condition:
        raise Unexpected(what)
