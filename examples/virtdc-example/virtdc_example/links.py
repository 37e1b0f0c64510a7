"""An exporter that gives each host a folder with only its own volumes.

A share is exported once for each host, as ``filer:/exports/<host>``, and
holds hard links to the volumes that this host may use. So no host sees those
of others, as it does with the exporter ``share``.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import logging
import os
from pathlib import Path
from typing import Self

from oslo_config import cfg

from virtdc_agent.contract import events
from virtdc_agent.contract import fields
from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)
GROUP = 'exporter_links'
OPTIONS = (
    cfg.StrOpt('path', help='Folder with a folder for each host.'),
    cfg.StrOpt('export', help='How hosts mount it, as filer:/exports.'),
)


class LinksExporter(interfaces.Exporter):
    """See the interface. The links are its only memory.

    :param path: on the file system of the volumes: hard links need that.
    :param locate: returns the path of a volume's bytes.
    """

    storage_protocol = 'nfs'
    can_grow_in_use = True

    def __init__(
        self, path: Path, export: str, locate: interfaces.Locate
    ) -> None:
        self._path = path
        self._export = export
        self._locate = locate

    @classmethod
    def from_config(
        cls,
        conf: cfg.ConfigOpts,
        *,
        clock: interfaces.Clock,
        locate: interfaces.Locate,
    ) -> Self:
        """See the interface."""
        conf.register_opts(OPTIONS, group=GROUP)
        for name in ('path', 'export'):
            if not conf[GROUP][name]:
                raise exceptions.ConfigInvalid(f'[{GROUP}] {name} is not set.')
        return cls(Path(conf[GROUP].path), conf[GROUP].export, locate)

    def start(self) -> None:
        """See the interface."""
        if not os.access(self._path, os.W_OK | os.X_OK):
            raise exceptions.ConfigInvalid(
                f'[{GROUP}] path = {self._path} is not a folder that the '
                'agent can write to.'
            )

    def resume(self, volumes: Iterable[events.Volume]) -> None:
        """Make the links that are missing; remove those of nobody."""
        wanted = set()
        for volume in volumes:
            for host in volume.attached_to:
                wanted.add(self._link(volume.volume_id, host))
                try:
                    self._let_in(volume, host)
                except (exceptions.AgentError, OSError) as exc:
                    LOG.warning(
                        'Volume %s cannot be given to %s again: %s',
                        *(volume.volume_id, host, exc),
                    )
        for link in self._path.glob('*/*'):
            if link not in wanted:
                link.unlink()

    def connect(
        self, volume: events.Volume, parameters: events.ConnectParameters
    ) -> None:
        """See the interface."""
        try:
            self._let_in(volume, parameters.host)
        except OSError as exc:
            raise exceptions.BackendError(
                f'Volume {volume.volume_id} cannot be given to '
                f'{parameters.host}: {exc.strerror}.'
            ) from exc

    def disconnect(self, volume: events.Volume, host: str) -> None:
        """See the interface."""
        self._link(volume.volume_id, host).unlink(missing_ok=True)

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        """See the interface. It is what Nova's driver for NFS takes."""
        return {
            'driver_volume_type': 'nfs',
            'data': {
                'export': f'{self._export}/{host}',
                'name': volume.volume_id,
                'format': volume.format.value,
                'options': None,
            },
        }

    def _let_in(self, volume: events.Volume, host: str) -> None:
        path = self._locate(volume.volume_id)
        if path is None:
            raise exceptions.EventRejected(
                f'Volume {volume.volume_id} has no file that a host could '
                'open: choose another exporter for it.'
            )
        link = self._link(volume.volume_id, host)
        link.parent.mkdir(exist_ok=True)
        try:
            os.link(path, link)
        except FileExistsError:
            if not link.samefile(path):
                link.unlink()
                os.link(path, link)

    def _link(self, volume_id: str, host: str) -> Path:
        if not fields.IDENTIFIER.fullmatch(host):
            raise exceptions.EventRejected(
                f'Volume {volume_id} cannot be given to {host!r}: that is no '
                'name of a host.'
            )
        return self._path / host / volume_id
