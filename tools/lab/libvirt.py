"""libvirtd in namespaces of its own: as a compute host has it.

It finds its folders, its sockets and its settings in the run folder, though
it looks for them where it always does; so several run beside each other, and
beside the machine's own. Guests are emulated, without KVM. Needs root.

What it starts, and what is started beside it, ends with it; what they mount
is theirs. Mounts that are made elsewhere later are not seen there.
"""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path
import shutil
import socket
import sys

from tools.lab import configuration
from tools.lab import errors
from tools.lab import libvirt_init
from tools.lab import processes

GUEST_USER = 'libvirt-qemu'
"""Whom guests run as, and their group: Debian's."""
Value = str | int | tuple[()]
"""A setting; the tuple is the empty list."""
_ROOT = Path(__file__).resolve().parents[2]
_PROGRAMS = {
    'libvirtd': 'libvirt-daemon-system',
    'qemu-system-x86_64': 'qemu-system-x86',
}
_LIBVIRTD: Mapping[str, Value] = {
    # Who may enter the run folder may use it.
    'auth_unix_ro': 'none',
    'auth_unix_rw': 'none',
    'unix_sock_rw_perms': '0700',
    'log_outputs': '3:stderr',
}
_QEMU: Mapping[str, Value] = {
    'user': GUEST_USER,
    'group': GUEST_USER,
    # Volumes stay their owner's, who has to read them while guests do.
    'dynamic_ownership': 0,
    'security_driver': 'none',
    # They share its mounts, and no device is hidden from them.
    'namespaces': (),
    # No virtlogd.
    'stdio_handler': 'file',
}


def missing() -> list[str]:
    """Return the packages that it needs and that are not installed."""
    found = {
        package
        for program, package in _PROGRAMS.items()
        if shutil.which(program) is None
    }
    return sorted(found)


class Libvirt:
    """A libvirtd of a lab.

    :param host: the name of what stands for a host.
    """

    def __init__(self, supervisor: processes.Supervisor, host: str) -> None:
        self.folder = supervisor.folder / f'libvirt-{host}'
        self.uri = f'qemu+unix:///system?socket={self._socket}'
        self.service = supervisor.service(
            processes.Program(
                name=f'libvirtd-{host}',
                argv=[
                    *(sys.executable, '-m', libvirt_init.__name__),
                    *(str(self.folder), 'libvirtd'),
                    # By default it is not among its own.
                    *('--pid-file', '/run/libvirt/libvirtd.pid'),
                ],
                environment={'PYTHONPATH': str(_ROOT)},
                ready=self._answers,
                rank=processes.Rank.INFRASTRUCTURE,
            )
        )

    def configure(self) -> None:
        """Write its settings and make its folders.

        :raises LabError: something is not installed, or this is not root.
        """
        packages = missing()
        if packages:
            raise errors.LabError(
                f'Not installed: {", ".join(packages)}. Run tools/bootstrap '
                'guest.'
            )
        if os.geteuid() != 0:
            raise errors.LabError('A libvirtd of its own needs root.')
        for name in libvirt_init.PLACES:
            # Guests look for what is theirs, as another user.
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for name, options in (('libvirtd', _LIBVIRTD), ('qemu', _QEMU)):
            configuration.write(
                self.folder / 'etc' / f'{name}.conf', render(options)
            )

    def beside(self) -> list[str]:
        """Return what a command begins with that is to run on this host.

        :raises LabError: it does not run.
        """
        outside = self.service.pid
        children = Path(f'/proc/{outside}/task/{outside}/children')
        found = children.read_text(encoding='ascii').split()
        if len(found) != 1:
            raise errors.LabError(f'{self.service.name} has no namespaces.')
        return ['nsenter', '--target', found[0], '--mount', '--pid']

    @property
    def _socket(self) -> Path:
        return self.folder / 'run' / 'libvirt-sock'

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            try:
                client.connect(str(self._socket))
            except OSError:
                return False
        return True


def render(options: Mapping[str, Value]) -> str:
    """Return a configuration file as libvirt's programs read it.

    :raises LabError: a value cannot be written so.
    """
    lines = []
    for name, value in options.items():
        text = str(value)
        if isinstance(value, str):
            if '"' in value or '\n' in value:
                raise errors.LabError(f'{name} has a quote or a line break.')
            text = f'"{value}"'
        elif value == ():
            text = '[]'
        lines.append(f'{name} = {text}\n')
    return ''.join(lines)
