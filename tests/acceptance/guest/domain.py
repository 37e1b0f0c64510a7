"""A guest as libvirt wants it described. Pure."""

from __future__ import annotations

import dataclasses
from pathlib import Path
import xml.etree.ElementTree as ElementTree

PORTS = 8
"""Disks that may be attached at the same time: each takes a port of PCIe."""
MEMORY_MIB = 256


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """What differs between guests.

    :param console: the socket of its shell, made when it starts.
    :param log: takes what its kernel says.
    """

    name: str
    uuid: str
    kernel: Path
    initrd: Path
    console: Path
    log: Path


def describe(guest: Guest) -> str:
    """Return the description of a guest without disks or a network.

    It is emulated: KVM may be absent, or not able to run a plain kernel.
    """
    domain = ElementTree.Element('domain', type='qemu')
    _text(domain, 'name', guest.name)
    _text(domain, 'uuid', guest.uuid)
    _text(domain, 'memory', str(MEMORY_MIB), unit='MiB')
    _text(domain, 'vcpu', '1')
    os = ElementTree.SubElement(domain, 'os')
    _text(os, 'type', 'hvm', arch='x86_64', machine='q35')
    _text(os, 'kernel', str(guest.kernel))
    _text(os, 'initrd', str(guest.initrd))
    _text(os, 'cmdline', 'console=ttyS0 quiet panic=-1')
    features = ElementTree.SubElement(domain, 'features')
    ElementTree.SubElement(features, 'acpi')
    ElementTree.SubElement(domain, 'cpu', mode='maximum')
    _text(domain, 'on_reboot', 'destroy')
    _text(domain, 'on_crash', 'destroy')
    devices = ElementTree.SubElement(domain, 'devices')
    _text(devices, 'emulator', '/usr/bin/qemu-system-x86_64')
    ElementTree.SubElement(
        devices, 'controller', type='pci', model='pcie-root'
    )
    for _ in range(PORTS):
        ElementTree.SubElement(
            devices, 'controller', type='pci', model='pcie-root-port'
        )
    ElementTree.SubElement(devices, 'memballoon', model='none')
    log = ElementTree.SubElement(devices, 'serial', type='file')
    ElementTree.SubElement(log, 'source', path=str(guest.log))
    ElementTree.SubElement(log, 'target', port='0')
    shell = ElementTree.SubElement(devices, 'serial', type='unix')
    ElementTree.SubElement(
        shell, 'source', mode='bind', path=str(guest.console)
    )
    ElementTree.SubElement(shell, 'target', port='1')
    return ElementTree.tostring(domain, encoding='unicode')


def _text(
    parent: ElementTree.Element, name: str, text: str, **attributes: str
) -> None:
    ElementTree.SubElement(parent, name, attributes).text = text
