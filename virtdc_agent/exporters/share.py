"""Volumes are files of a file system that the hosts mount themselves.

There is nothing to do when a host comes or goes: who may mount the share may
use its volumes. The connection information is that of Cinder's and Nova's
``nfs`` drivers, which mount ``export`` and open ``name`` in it.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
import re
import types
from typing import Self

from oslo_config import cfg

from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent import interfaces

# A host name or IPv4 address, or an IPv6 address in brackets; then a path,
# but not as a URL has it.
_EXPORT = re.compile(
    r'(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])'
    r':/(?!/)[^\s\x00-\x1f]*'
)


class ShareExporter(interfaces.Exporter):
    """Names a share and a file in it. Holds no state; see the interface.

    :param export: as ``filer.example.org:/volumes``.
    :param pool_exports: the same for volumes of pools, by their names.
    :param pools: names of the agent's pools; each must have an export.
    :param mount_options: as ``-o vers=4.2``; empty for none.
    """

    storage_protocol = 'nfs'
    can_grow_in_use = True

    def __init__(
        self,
        export: str | None,
        *,
        mount_options: str = '',
        pool_exports: Mapping[str, str] = types.MappingProxyType({}),
        pools: Collection[str] = (),
    ) -> None:
        self._export = export or ''
        self._pool_exports = dict(pool_exports)
        self._pools = pools
        self._mount_options = mount_options.strip()

    @classmethod
    def from_config(
        cls,
        conf: cfg.ConfigOpts,
        *,
        clock: interfaces.Clock,
        locate: interfaces.Locate,
    ) -> Self:
        """Return an exporter as ``[exporter_share]`` says."""
        options = conf.exporter_share
        return cls(
            options.export,
            mount_options=options.mount_options,
            pool_exports=options.pool_exports,
            pools=conf.agent.pools,
        )

    def start(self) -> None:
        """See the interface. Asks nothing of the network."""
        for pool in self._pools:
            if pool not in self._pool_exports:
                raise exceptions.ConfigInvalid(
                    f'[exporter_share] pool_exports does not say how hosts '
                    f'mount the pool {pool}: add {pool}:<host>:<path>.'
                )
        for pool, export in self._pool_exports.items():
            if pool not in self._pools:
                raise exceptions.ConfigInvalid(
                    f'[exporter_share] pool_exports names {pool}, which is '
                    'not in [agent] pools.'
                )
            if not _EXPORT.fullmatch(export):
                raise exceptions.ConfigInvalid(
                    f'[exporter_share] pool_exports has {export!r} for '
                    f'{pool}, which no host can mount: give it as host:/path, '
                    'with an IPv6 address in brackets.'
                )
        if not self._pools and not _EXPORT.fullmatch(self._export):
            raise exceptions.ConfigInvalid(
                f'[exporter_share] export = {self._export!r} does not say '
                "how hosts mount the volumes' folder: give it as host:/path, "
                'with an IPv6 address in brackets, as '
                'filer.example.org:/volumes.'
            )

    def resume(self, volumes: Iterable[events.Volume]) -> None:
        """Do nothing: nothing is kept that could be lost."""

    def connect(
        self, volume: events.Volume, parameters: events.ConnectParameters
    ) -> None:
        """Only see that the host has a name."""
        if not parameters.host.strip():
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} cannot be connected to a host '
                'without a name: give its connector a host.'
            )

    def disconnect(self, volume: events.Volume, host: str) -> None:
        """Do nothing."""

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        """See the interface. Where the share is mounted, the host decides."""
        return {
            'driver_volume_type': 'nfs',
            'data': {
                'export': self._pool_exports.get(volume.pool, self._export),
                # The name that the backend "file" gives.
                'name': f'volume-{volume.volume_id}',
                'format': volume.format.value,
                'options': self._mount_options or None,
            },
        }
