"""How hosts reach volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cinder import exception

from cinder_virtdc.driver.core import cinder_errors
from cinder_virtdc.driver.core import Core
from cinder_virtdc import translate
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format


class Connecting(Core):
    """How hosts reach volumes."""

    def ensure_export(self, context: Any, volume: Any) -> None:
        """Do nothing: the agent remembers its attachments."""

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        """Do nothing: a volume is exported to a host as it connects."""

    def remove_export(self, context: Any, volume: Any) -> None:
        """Do nothing: see ``terminate_connection``."""

    def initialize_connection(
        self, volume: Any, connector: Mapping[str, Any], **kwargs: Any
    ) -> dict[str, Any]:
        """Let a host reach a volume; return how."""
        with cinder_errors():
            parameters = translate.connect_parameters(
                connector,
                exporter=translate.exporter_of(
                    volume.volume_type, self._known_capacity
                ),
            )
            self._run(volume, parameters)
            connection = self._open_session.client.get_connection(
                volume.name_id, parameters.host
            )
        if translate.format_of(
            connection
        ) is not Format.RAW and translate.is_copied_byte_by_byte(volume):
            self.terminate_connection(volume, connector)
            raise exception.VolumeBackendAPIException(
                message=f'Volume {volume.id} is a '
                f'{translate.format_of(connection)} image. Cinder backs up '
                'and migrates only raw volumes: make a copy of it whose '
                'type asks for raw, and take that.'
            )
        if connection.get('driver_volume_type') == 'nfs':
            # os-brick, when Cinder itself copies, looks for it here.
            connection['mount_point_base'] = (
                self.configuration.virtdc_mount_point_base
            )
        return connection

    def terminate_connection(
        self,
        volume: Any,
        connector: Mapping[str, Any] | None,
        **kwargs: Any,
    ) -> bool:
        """Let a host no longer reach a volume; without one, no host.

        :returns: whether the host uses the volume otherwise, and so keeps it.
        """
        with cinder_errors():
            host = translate.host_of(connector) if connector else None
            if connector and translate.is_shared(
                volume.volume_attachment, connector
            ):
                return True
            self._run(volume, events.DisconnectParameters(host=host))
        return False
