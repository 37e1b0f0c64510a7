"""What happens to volumes that guests use, step by step."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
from pathlib import Path
import subprocess
import time
import xml.etree.ElementTree as ElementTree

from tests.acceptance.guest import cloud as clouds
from tests.acceptance.guest.console import GuestError
from tests.acceptance.guest.machine import Disk
from tests.acceptance.guest.machine import expect
from tests.acceptance.guest.machine import Machine
from tests.acceptance.guest.machine import Unexpected
from tests.acceptance.guest.machine import until
from tests.acceptance.guest.pattern import GIB
from tests.acceptance.guest.pattern import MIB
from tests.acceptance.guest.pattern import Pattern
from tests.acceptance.guest.report import Report
from tests.acceptance.guest import writer
from tools.lab import processes

MULTIATTACH = 'multiattach'
"""The volume type whose volumes may be attached to several servers."""
_DOWN_S = 4.0
_FILE = Pattern(text='a file in a file system', offset_bytes=0)
_OLD = Pattern(text='before the snapshot', offset_bytes=512 * MIB)
_NEW = Pattern(text='after the snapshot', offset_bytes=512 * MIB)
_END = Pattern(text='beyond the old end', offset_bytes=GIB + 512 * MIB)
_OF_ONE = Pattern(text='the first server', offset_bytes=0)
_OF_OTHER = Pattern(text='the second server', offset_bytes=64 * MIB)
_ENDLESS = writer.Writer(offset_bytes=768 * MIB)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is known of an exporter.

    :param source: what libvirt is to open: a ``file`` or the ``network``.
    """

    exporter: str
    source: str
    grows_in_use: bool


KINDS = (
    Kind(exporter='share', source='file', grows_in_use=True),
    Kind(exporter='iscsi-tgt', source='network', grows_in_use=False),
)


class Walk:
    """One exporter's; every step stands on those before.

    :param one: the server that most happens to.
    :param other: a server on another host.
    :param agent: to be killed and started.
    """

    def __init__(
        self,
        kind: Kind,
        report: Report,
        *,
        cloud: clouds.Cloud,
        one: Machine,
        other: Machine,
        pool: Path,
        agent: processes.Service,
    ) -> None:
        self._kind = kind
        self._report = report
        self._cloud = cloud
        self._one = one
        self._other = other
        self._pool = pool
        self._agent = agent

    def run(self) -> None:
        """Take all steps.

        :raises Exception: the first one that failed.
        """
        step = self._report.step
        with step('create a volume of 1 GiB'):
            volume = self._cloud.create('guest')
        with step('attach it: the guest sees it, and its size'):
            owner = self._owner_of(volume)
            disk = self._one.attach(volume)
            self._check_attached(disk)
            # Or the agent might not get at it.
            expect(self._owner_of(volume) == owner, 'it has another owner')
        with step('make a file system and a file in it; read it outside'):
            self._make_file(disk)
        with step('what is attached is neither deleted nor attached again'):
            self._report.note(self._cloud.refuses_to_delete(volume))
            self._report.note(
                self._cloud.refuses_to_attach(volume, self._other.server_id)
            )
        if self._kind.grows_in_use:
            with step('extend it to 2 GiB while it is attached'):
                self._extend(disk)
        else:
            with step('extending it while it is attached is refused'):
                self._fail_to_extend(disk)
        size_gib = self._cloud.show(volume)['size']
        with step('write, snapshot while attached, write over it'):
            self._one.write(disk, _OLD)
            snapshot = self._cloud.snapshot(volume, 'guest')
            self._one.write(disk, _NEW)
            expect(_NEW.is_in(self._file(volume)), 'no write outside')
        with step('a volume from the snapshot has what was there before'):
            copy = self._cloud.create(
                'from-snapshot', snapshot_id=snapshot, size=size_gib
            )
            copy_disk = self._one.attach(copy)
            self._one.check(copy_disk, _OLD)
            self._one.check(disk, _NEW)
        with step('a clone of the attached volume has what is there now'):
            clone = self._cloud.create(
                'clone', source_volid=volume, size=size_gib
            )
            clone_disk = self._one.attach(clone)
            self._one.check(clone_disk, _NEW)
            expect(_OLD.is_in(self._file(copy)), 'the copy has changed')
        with step('kill and start the agent while the guest writes'):
            self._kill_agent(disk)
        with step('detach all: the guest sees them leave'):
            for one in (copy_disk, clone_disk, disk):
                self._one.detach(one)
                self._cloud.wait_volume(one.volume_id, 'available')
            self._check_files(volume)
        with step('revert it to the snapshot, attach it again, read it'):
            self._cloud.revert(volume, snapshot)
            disk = self._one.attach(volume)
            self._one.check(disk, _OLD)
            self._check_file(disk)
            self._one.detach(disk)
            self._cloud.wait_volume(volume, 'available')
        if not self._kind.grows_in_use:
            with step('extend it while it is detached, attach it again'):
                self._extend_detached(volume)
        with step('attach it for reading only: the guest cannot write'):
            self._read_only(clone)
        with step('two servers on two hosts write to one volume'):
            shared = self._share()
        with step('delete everything; nothing is left'):
            self._cloud.delete_snapshot(snapshot)
            for one_id in (volume, copy, clone, shared):
                self._cloud.delete(one_id)
            left = sorted(path.name for path in self._pool.glob('*-*'))
            expect(not left, f'left in the pool: {left}')

    def _check_attached(self, disk: Disk) -> None:
        expect(self._one.size_of(disk) == GIB, 'the size is not 1 GiB')
        source = self._source_of(self._one, disk)
        expect(source == self._kind.source, f'libvirt opens a {source}')
        info = disk.connection_info
        self._report.note(
            f'{disk.device} is {info["driver_volume_type"]}, opened by '
            f'libvirt as a disk of type {source}'
        )

    def _make_file(self, disk: Disk) -> None:
        run = self._one.console.run
        run(f'mke2fs -q {disk.device} 262144 && mount {disk.device} /mnt')
        run(f'{_FILE.source} > /mnt/file && umount /mnt')
        self._check_file(disk)
        found = subprocess.run(
            ['debugfs', '-R', 'cat /file', str(self._file(disk.volume_id))],
            capture_output=True,
            check=True,
        ).stdout
        expect(found == _FILE.content, 'another file outside')

    def _check_file(self, disk: Disk) -> None:
        run = self._one.console.run
        run(f'mount -o ro {disk.device} /mnt')
        read = run('sha256sum /mnt/file; umount /mnt').split()[0]
        expect(read == _FILE.checksum, 'another file in the guest')

    def _extend(self, disk: Disk) -> None:
        begun = time.monotonic()
        self._cloud.extend(disk.volume_id, 2)
        until(
            'the guest sees 2 GiB',
            lambda: self._one.size_of(disk) == 2 * GIB,
        )
        self._report.note(
            f'the guest sees it {time.monotonic() - begun:.2f} s after the '
            'request'
        )
        self._cloud.wait_volume(disk.volume_id, 'in-use')
        expect(self._cloud.show(disk.volume_id)['size'] == 2, 'Cinder: not 2')
        self._one.write(disk, _END)
        expect(_END.is_in(self._file(disk.volume_id)), 'no write at the end')
        self._check_file(disk)

    def _fail_to_extend(self, disk: Disk) -> None:
        self._cloud.extend(disk.volume_id, 2)
        # The scheduler refuses, and Cinder takes it back.
        self._cloud.wait_volume(disk.volume_id, 'in-use')
        expect(self._cloud.show(disk.volume_id)['size'] == 1, 'Cinder: not 1')
        for text in self._cloud.messages(disk.volume_id):
            self._report.note(text)
        expect(self._one.size_of(disk) == GIB, 'the guest: not 1 GiB')
        self._check_file(disk)

    def _extend_detached(self, volume_id: str) -> None:
        self._cloud.extend(volume_id, 2)
        self._cloud.wait_volume(volume_id, 'available')
        disk = self._one.attach(volume_id)
        expect(self._one.size_of(disk) == 2 * GIB, 'the guest: not 2 GiB')
        self._one.write(disk, _END)
        self._one.check(disk, _OLD)
        expect(_END.is_in(self._file(volume_id)), 'no write at the end')
        self._one.detach(disk)
        self._cloud.wait_volume(volume_id, 'available')

    def _kill_agent(self, disk: Disk) -> None:
        run = self._one.console.run
        run(_ENDLESS.start(disk.device))
        time.sleep(1.0)
        self._agent.kill()
        time.sleep(_DOWN_S)
        self._agent.start()
        # It is the one from before: it knows the volume, and its host.
        snapshot = self._cloud.snapshot(disk.volume_id, 'after')
        time.sleep(1.0)
        run(_ENDLESS.STOP)
        written = writer.read(run(_ENDLESS.TELL))
        expect(not written.failed, f'failed writes: {written.failed}')
        expect(written.records > 20, f'only {written.records} writes')
        expect(
            written.longest_s < _DOWN_S / 2,
            f'no write for {written.longest_s:.2f} s',
        )
        wrong = _ENDLESS.wrong(self._file(disk.volume_id), written.records)
        expect(not wrong, f'not written: {wrong[:5]}')
        self._report.note(
            f'{written.records} synchronous writes, none failed, at most '
            f'{written.longest_s:.2f} s between two; the agent was away for '
            f'{_DOWN_S:g} s'
        )
        self._cloud.delete_snapshot(snapshot)

    def _check_files(self, volume_id: str) -> None:
        expect(_NEW.is_in(self._file(volume_id)), 'not the last write')
        if self._kind.grows_in_use:
            expect(_END.is_in(self._file(volume_id)), 'not the end')

    def _read_only(self, volume_id: str) -> None:
        self._cloud.set_readonly(volume_id)
        disk = self._one.attach(volume_id, mode='ro')
        expect(self._one.attribute(disk, 'ro') == '1', 'the guest may write')
        _must_fail(lambda: self._one.write(disk, _OLD))
        self._one.check(disk, _NEW)
        expect(_NEW.is_in(self._file(volume_id)), 'it was written to')
        self._one.detach(disk)
        self._cloud.wait_volume(volume_id, 'available')

    def _share(self) -> str:
        volume = self._cloud.create('shared', volume_type=MULTIATTACH)
        mine = self._one.attach(volume, multiattach=True)
        theirs = self._other.attach(volume, multiattach=True)
        self._one.write(mine, _OF_ONE)
        self._other.write(theirs, _OF_OTHER)
        self._other.check(theirs, _OF_ONE)
        self._one.check(mine, _OF_OTHER)
        self._one.detach(mine)
        self._cloud.wait_volume(volume, 'in-use')
        # Whoever stays keeps it.
        self._other.write(theirs, _OF_ONE)
        self._other.detach(theirs)
        self._cloud.wait_volume(volume, 'available')
        for pattern in (_OF_ONE, _OF_OTHER):
            expect(pattern.is_in(self._file(volume)), 'not both writes')
        return volume

    def _file(self, volume_id: str) -> Path:
        return self._pool / f'volume-{volume_id}'

    def _owner_of(self, volume_id: str) -> tuple[int, int, int]:
        found = self._file(volume_id).stat()
        return found.st_uid, found.st_gid, found.st_mode

    def _source_of(self, machine: Machine, disk: Disk) -> str:
        tree = ElementTree.fromstring(machine.description())
        for found in tree.iterfind('devices/disk'):
            if found.findtext('serial') == disk.volume_id:
                return found.get('type', '')
        return 'nothing'


def _must_fail(action: Callable[[], None]) -> None:
    try:
        action()
    except GuestError:
        return
    raise Unexpected('The guest could write.')
