"""The exporter "share": files of a file system that hosts mount."""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import Self

from oslo_config import cfg

from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent.contract import events

_EXPORT = re.compile(r'(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9.-]*):/\S*')


class ShareExporter(interfaces.Exporter):
    """Tells hosts which file of which share a volume is.

    Hosts mount the share themselves, all volumes at once, so there is
    nothing to do for one of them, and nothing secret to tell.

    :param export: how hosts name the share, as ``filer:/volumes``.
    :param mount_options: options of their mount, or empty.
    """

    storage_protocol = 'nfs'

    def __init__(self, export: str, mount_options: str = '') -> None:
        self._export = export
        self._mount_options = mount_options

    @classmethod
    def from_config(
        cls, conf: cfg.ConfigOpts, *, clock: interfaces.Clock
    ) -> Self:
        """Return the exporter that ``[exporter_share]`` describes.

        :raises ConfigInvalid: no share is named.
        """
        if not conf.exporter_share.export:
            raise exceptions.ConfigInvalid(
                '[exporter_share] export is not set: say how hosts mount the '
                'folder of the volumes, as filer.example.org:/volumes.'
            )
        return cls(
            conf.exporter_share.export, conf.exporter_share.mount_options
        )

    def start(self) -> None:
        """See the interface."""
        if not _EXPORT.fullmatch(self._export):
            raise exceptions.ConfigInvalid(
                f'[exporter_share] export = {self._export} must look like '
                'filer.example.org:/volumes.'
            )

    def connect(
        self, volume: events.Volume, parameters: events.ConnectParameters
    ) -> None:
        """See the interface: whoever mounts the share reaches all of it."""

    def disconnect(self, volume: events.Volume, host: str) -> None:
        """See the interface."""

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        """See the interface."""
        return {
            'driver_volume_type': 'nfs',
            'data': {
                'export': self._export,
                'name': f'volume-{volume.volume_id}',
                'format': volume.format.value,
                'options': self._mount_options or None,
            },
        }
