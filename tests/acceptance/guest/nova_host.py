"""A compute host: Nova's libvirt driver with os-brick, and nothing around it.

It runs in an environment of its own, since Nova does not go with Cinder in
one. ``python nova_host.py <nova.conf> <initiator>`` reads a request from each
line of its input, ``{"call": ..., "arguments": {...}}``, and writes a line for
each answer, ``{"result": ...}`` or ``{"error": ...}``. Its log goes to its
error output.

Attaching, detaching and extending are Nova's ``LibvirtDriver`` and its classes
for kinds of volumes. Only what Nova would ask its database is left out: there
are no instances but the ones that libvirt knows.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

import libvirt
import nova.conf
from nova import config
from nova import context as nova_context
from nova import objects
import nova.privsep
from nova.virt import fake
from nova.virt.libvirt import driver
from nova.virt.libvirt.volume import mount
from nova.virt.libvirt.volume import net
from nova.volume import cinder
from os_brick import privileged

LOG = logging.getLogger(__name__)
CONF = nova.conf.CONF


class UserspaceIscsi(net.LibvirtNetVolumeDriver):
    """iSCSI by QEMU's own initiator.

    Nova attaches an iSCSI volume as a device of the host's kernel. Where the
    kernel has no initiator, this has libvirt open it, by the class that Nova
    has for disks of a network. What it lacks is added: libvirt's words for
    what Cinder says of a target, and its secret, which is libvirt's to keep.
    """

    def connect_volume(self, connection_info: Any, instance: Any) -> None:
        data = connection_info['data']
        address, _, port = data['target_portal'].rpartition(':')
        data['name'] = f'{data["target_iqn"]}/{data["target_lun"]}'
        data['hosts'], data['ports'] = [address], [port]
        self.host.delete_secret('iscsi', data['target_iqn'])
        self.host.create_secret(
            'iscsi', data['target_iqn'], data['auth_password'].encode()
        )

    def get_config(self, connection_info: Any, disk_info: Any) -> Any:
        conf = super().get_config(connection_info, disk_info)
        data = connection_info['data']
        conf.auth_username = data['auth_username']
        conf.auth_secret_type = 'iscsi'
        conf.auth_secret_uuid = self.host.find_secret(
            'iscsi', data['target_iqn']
        ).UUIDString()
        return conf

    def disconnect_volume(
        self, connection_info: Any, instance: Any, force: bool = False
    ) -> None:
        self.host.delete_secret('iscsi', connection_info['data']['target_iqn'])


class Driver(driver.LibvirtDriver):
    """Nova's driver, without its database."""

    def _handle_conn_event(self, enabled: bool, reason: Any) -> None:
        LOG.info('libvirt: %s %s', enabled, reason)

    def _build_device_metadata(self, context: Any, instance: Any) -> None:
        return None

    def _should_disconnect_target(self, *arguments: Any) -> bool:
        # No other server of this host uses the volume: there is one.
        return True


class Instance(objects.Instance):
    """An instance that is kept nowhere."""

    def save(self, *args: Any, **kwargs: Any) -> None:
        pass


class Host:
    """What can be asked of a compute host; public methods are the calls."""

    def __init__(self, initiator: str) -> None:
        self._initiator = initiator
        self._context = nova_context.get_admin_context()
        self._driver = Driver(fake.FakeVirtAPI())
        self._driver._host.initialize()
        mount.get_manager().host_up(self._driver._host)
        self._driver.volume_drivers['iscsi'] = UserspaceIscsi(
            self._driver._host
        )

    def connector(self) -> dict[str, Any]:
        """Return what os-brick says of this host, as Nova asks it."""
        found = dict(self._driver.get_volume_connector(None))
        # There is no iscsid whose name it could find: it is QEMU's.
        found['initiator'] = self._initiator
        return found

    def boot(self, description: str) -> None:
        """Start a guest."""
        self._connection.defineXML(description).create()

    def attach(
        self,
        instance: str,
        attachment: dict[str, Any],
        device: str,
        multiattach: bool = False,
    ) -> dict[str, Any]:
        """Attach a volume; return what Nova would keep of it.

        :param attachment: as Cinder's API shows it.
        """
        volume_id = attachment['volume_id']
        connection_info = cinder._translate_attachment_ref(attachment)[
            'connection_info'
        ]
        # As nova.virt.block_device does.
        connection_info['serial'] = volume_id
        if multiattach:
            connection_info['multiattach'] = True
        self._driver.attach_volume(
            self._context,
            connection_info,
            self._instance(instance),
            f'/dev/{device}',
            disk_bus='virtio',
        )
        return connection_info

    def detach(
        self, instance: str, connection_info: dict[str, Any], device: str
    ) -> None:
        """Detach a volume, when the guest has let go of it."""
        self._driver.detach_volume(
            self._context,
            connection_info,
            self._instance(instance),
            f'/dev/{device}',
        )

    def extend(
        self, instance: str, connection_info: dict[str, Any], size_bytes: int
    ) -> None:
        """Tell the guest that a volume has grown."""
        self._driver.extend_volume(
            self._context,
            connection_info,
            self._instance(instance),
            size_bytes,
        )

    def describe(self, instance: str) -> str:
        """Return libvirt's description of a running guest."""
        return str(self._connection.lookupByUUIDString(instance).XMLDesc())

    def versions(self) -> dict[str, str]:
        """Return what does the work."""
        return {
            'libvirt': _version(self._connection.getLibVersion()),
            'QEMU': _version(self._connection.getVersion()),
        }

    @property
    def _connection(self) -> libvirt.virConnect:
        return self._driver._host.get_connection()

    def _instance(self, uuid: str) -> Instance:
        return Instance(
            self._context,
            uuid=uuid,
            image_ref='',
            system_metadata={},
            metadata={},
            device_metadata=None,
        )


def _version(number: int) -> str:
    return f'{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}'


def main() -> None:
    """See above."""
    # What is printed by chance must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    config.parse_args(
        ['nova-host', '--config-file', sys.argv[1]],
        configure_db=False,
        init_rpc=False,
    )
    objects.register_all()
    for context in (nova.privsep.sys_admin_pctxt, privileged.default):
        # As root already, it needs no helper.
        context.set_client_mode(False)
    host = Host(sys.argv[2])
    for line in sys.stdin:
        request = json.loads(line)
        LOG.info('Asked to %s', request['call'])
        answer: dict[str, Any]
        try:
            result = getattr(host, request['call'])(**request['arguments'])
            answer = {'result': result}
        except Exception as exc:
            LOG.exception('%s', request['call'])
            answer = {'error': f'{type(exc).__name__}: {exc}'}
        print(json.dumps(answer), file=answers, flush=True)
    # Nova's threads would go on.
    logging.shutdown()
    os._exit(0)


if __name__ == '__main__':
    main()
