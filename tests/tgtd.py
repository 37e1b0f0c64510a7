"""A real tgtd for tests, and what hosts do with it. Loopback only."""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import os
from pathlib import Path
import shutil
import subprocess
import time
import unittest

from tools.lab import ports
from virtdc_agent import exceptions
from virtdc_agent.exporters.tgt_socket import TgtSocket

REQUIRED = 'VIRTDC_REQUIRE_SERVICES'
_PACKAGES = {
    'tgtd': 'tgt',
    'tgtadm': 'tgt',
    'iscsi-inq': 'libiscsi-bin',
    'qemu-io': 'qemu-utils',
}
_WAIT_S = 15.0


def missing() -> list[str]:
    """Return the packages that are needed and not installed."""
    found = {
        package
        for program, package in _PACKAGES.items()
        if shutil.which(program) is None
    }
    if not any(Path('/usr/lib').glob('*/qemu/block-iscsi.so')):
        found.add('qemu-block-extra')
    return sorted(found)


def require() -> None:
    """Skip the test, or fail it, if something is not installed."""
    packages = missing()
    if packages:
        words = 'not installed: ' + ', '.join(packages)
        if os.environ.get(REQUIRED):
            raise AssertionError(words)
        raise unittest.SkipTest(words)


class Tgtd:
    """One tgtd, on a port and a control socket of its own.

    :param folder: an empty folder with a short path.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = ports.Ports()
        port = self._ports.take()
        self._control_port = port
        self.portal = f'127.0.0.1:{port}'
        self.control_socket = str(folder / f'tgtd.{port}')
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def control(self) -> TgtSocket:
        """What directs it."""
        return TgtSocket(self.control_socket)

    def start(self) -> None:
        """Start it, without any target, and wait until it answers."""
        with (self._folder / 'tgtd.log').open('ab') as log:
            self._process = subprocess.Popen(
                [
                    # It would outlive a test that is killed.
                    *('setpriv', '--pdeathsig', 'KILL'),
                    *('tgtd', '-f', '--nr_iothreads', '1'),
                    *('--iscsi', f'portal={self.portal}'),
                    *('--control-port', str(self._control_port)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )
        deadline = time.monotonic() + _WAIT_S
        while True:
            with contextlib.suppress(exceptions.BackendUnavailable):
                if self.portal in self.control.portals():
                    return
            if self._process.poll() is not None or (
                time.monotonic() > deadline
            ):
                self.stop()
                raise AssertionError(self.log_text())
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, as a crash does. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._ports.release()

    def restart(self) -> None:
        """End it and start it: it has forgotten all."""
        self.stop()
        self.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended, by itself or otherwise."""
        return self._process is not None and self._process.poll() is None

    def log_text(self) -> str:
        """Return what it logged."""
        return (self._folder / 'tgtd.log').read_text('utf-8', 'replace')

    def administer(self, *arguments: str) -> str:
        """Return what tgtadm says."""
        return subprocess.run(
            [
                *('tgtadm', '--control-port', str(self._control_port)),
                *arguments,
            ],
            check=True,
            capture_output=True,
            text=True,
            env=self._environment(),
        ).stdout

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, 'TGT_IPC_SOCKET': str(self._folder / 'tgtd')}


def can_log_in(data: Mapping[str, object], initiator: str) -> bool:
    """Say whether a host of this name gets to the volume."""
    return (
        subprocess.run(
            [
                *('iscsi-inq', '-i', initiator),
                f'iscsi://{data["auth_username"]}%{data["auth_password"]}'
                f'@{data["target_portal"]}/{data["target_iqn"]}/'
                f'{data["target_lun"]}',
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_WAIT_S,
        ).returncode
        == 0
    )


def qemu_io(
    data: Mapping[str, object], initiator: str, *commands: str
) -> subprocess.CompletedProcess[str]:
    """Open a volume as QEMU does, and do what is told."""
    with start_qemu_io(data, initiator, *commands) as process:
        try:
            output, _ = process.communicate(timeout=_WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(
        process.args, process.returncode, output
    )


def start_qemu_io(
    data: Mapping[str, object], initiator: str, *commands: str
) -> subprocess.Popen[str]:
    """Begin to do what is told; the caller ends it."""
    return subprocess.Popen(
        [
            *('qemu-io', '--object'),
            f'secret,id=chap,data={data["auth_password"]}',
            '--image-opts',
            *(argument for line in commands for argument in ('-c', line)),
            ','.join(
                (
                    'driver=iscsi',
                    'transport=tcp',
                    f'portal={data["target_portal"]}',
                    f'target={data["target_iqn"]}',
                    f'lun={data["target_lun"]}',
                    f'user={data["auth_username"]}',
                    'password-secret=chap',
                    f'initiator-name={initiator}',
                )
            ),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
