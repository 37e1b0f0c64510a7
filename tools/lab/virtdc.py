"""Our own programs: the agent in the data centre, the listener, the driver."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tools.lab import cinder
from tools.lab import configuration
from tools.lab import installation
from tools.lab import processes
from tools.lab import rabbitmq

RPC_QUEUE = 'virtdc_agent'
EVENT_QUEUE = 'virtdc_events.info'


def backend(
    name: str = 'virtdc', options: configuration.Options | None = None
) -> cinder.Backend:
    """Return a backend of Cinder that uses our driver."""
    return cinder.Backend(
        name=name,
        options={
            'volume_driver': 'cinder_virtdc.driver.VirtDCDriver',
            **(options or {}),
        },
        private_bus=True,
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """An agent; options given here go over the lab's own."""

    name: str = 'agent'
    options: configuration.Sections = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """The listener; options given here go over the lab's own."""

    options: configuration.Sections = dataclasses.field(default_factory=dict)


class Agent:
    """``virtdc-agent``, by default with a journal of its own.

    Several share one if their options name its database; the first that is
    configured makes its tables.
    """

    def __init__(
        self,
        supervisor: processes.Supervisor,
        broker: rabbitmq.RabbitMQ,
        *,
        venv: installation.Installation,
        pool: Path,
        settings: AgentSettings,
    ) -> None:
        self._supervisor = supervisor
        self._venv = venv
        self.folder = supervisor.folder / settings.name
        self.conf = self.folder / 'virtdc-agent.conf'
        self.pool = pool
        self.journal = self.folder / 'journal.sqlite'
        self.sections = configuration.merge(
            {
                'DEFAULT': {
                    'transport_url': broker.private_url,
                    'state_path': self.folder,
                },
                'agent': {
                    'name': settings.name,
                    'backend': 'file',
                    'exporter': 'share',
                },
                'database': {'connection': f'sqlite:///{self.journal}'},
                'backend_file': {'path': pool},
                'exporter_share': {'export': f'127.0.0.1:{pool}'},
            },
            broker.client_sections,
            settings.options,
        )
        topic = str(self.sections['agent'].get('topic', RPC_QUEUE))
        self.service = supervisor.service(
            processes.Program(
                name=settings.name,
                argv=[
                    venv.program('virtdc-agent'),
                    *('--config-file', str(self.conf)),
                ],
                # Its own queue: others may answer on the topic's.
                ready=lambda: broker.consumers(f'{topic}.{settings.name}') > 0,
                grace_s=35.0,
            )
        )

    def configure(self) -> None:
        """Write the configuration, make the folders and the journal."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.pool.mkdir(parents=True, exist_ok=True)
        configuration.write_sections(self.conf, self.sections)
        self._supervisor.run(
            f'{self.service.name}-db-sync',
            [
                self._venv.program('virtdc-manage'),
                *('--config-file', str(self.conf)),
                *('db', 'sync'),
            ],
        )

    def reconfigure(self, options: configuration.Sections) -> None:
        """Change options; the next start reads them."""
        self.sections = configuration.merge(self.sections, options)
        configuration.write_sections(self.conf, self.sections)


class Listener:
    """``cinder-virtdc-listener``."""

    def __init__(
        self,
        supervisor: processes.Supervisor,
        broker: rabbitmq.RabbitMQ,
        *,
        venv: installation.Installation,
        settings: ListenerSettings,
    ) -> None:
        self._broker = broker
        self._options = settings.options
        self.sections: configuration.Sections = {}
        self.folder = supervisor.folder / 'listener'
        self.conf = self.folder / 'cinder-virtdc-listener.conf'
        self.service = supervisor.service(
            processes.Program(
                name='listener',
                argv=[
                    venv.program('cinder-virtdc-listener'),
                    *('--config-file', str(self.conf)),
                ],
                ready=lambda: broker.consumers(EVENT_QUEUE) > 0,
            )
        )

    def configure(self, credentials: configuration.Options) -> None:
        """Write the configuration.

        :param credentials: keystoneauth's options for Cinder.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.sections = configuration.merge(
            {
                'DEFAULT': {'transport_url': self._broker.private_url},
                'cinder': credentials,
            },
            self._broker.client_sections,
            self._options,
        )
        configuration.write_sections(self.conf, self.sections)

    def reconfigure(self, options: configuration.Sections) -> None:
        """Change options; the next start reads them."""
        self.sections = configuration.merge(self.sections, options)
        configuration.write_sections(self.conf, self.sections)
