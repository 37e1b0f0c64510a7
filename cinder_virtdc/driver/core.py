"""What every part of the driver needs: session, events, errors."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import datetime
from typing import Any
import uuid

from cinder import exception
from cinder import monkey_patch
from cinder.volume import configuration
from cinder.volume import driver
from oslo_config import cfg
from oslo_context import context as request_context
from oslo_log import log as logging

from cinder_virtdc.bus import session
from cinder_virtdc import exceptions
from cinder_virtdc import opts
from cinder_virtdc import pools
from cinder_virtdc import stats
from cinder_virtdc import translate
from virtdc_agent.contract import events
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.monitoring import tracing

LOG = logging.getLogger(__name__)

CONF = cfg.CONF
CONF.register_opts(opts.DRIVER_OPTS, group=configuration.SHARED_CONF_GROUP)

NEEDED = frozenset(
    {
        Operation.CREATE,
        Operation.DELETE,
        Operation.CONNECT,
        Operation.DISCONNECT,
    }
)
"""What a data centre must be able to do to be a backend of Cinder.

Everything else is asked of one that has declared it, and of no other.
"""


class Core(driver.VolumeDriver):
    """Runs events and says in Cinder's words how they ended."""

    def __init__(
        self,
        *args: Any,
        connect: Callable[
            [cfg.ConfigOpts, session.Settings], session.Session
        ] = session.connect,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(opts.DRIVER_OPTS)
        # Not before do_setup: this process may fork in between.
        self._connect = connect
        self._session: session.Session | None = None
        self._capacity: events.Capacity | None = None
        self._is_down = False
        self._to_be_filled: set[str] = set()

    @staticmethod
    def get_driver_options() -> list[cfg.Opt]:
        """Return the options of a section that uses this driver."""
        return list(opts.DRIVER_OPTS)

    def do_setup(self, context: Any) -> None:
        """Open the session; repeated by Cinder after a failed start."""
        if self._session is not None:
            self._session.close()
            self._session = None
        with cinder_errors():
            self._session = self._connect(CONF, self._settings())

    def check_for_setup_error(self) -> None:
        """Refuse to start without an agent that can do what is needed."""
        with cinder_errors():
            capacity = self._open_session.client.await_agent()
        missing = NEEDED - capacity.operations
        if missing:
            raise exception.VolumeBackendAPIException(
                message=f'The storage {capacity.backend} of agent '
                f'{capacity.agent} cannot {", ".join(sorted(missing))}: '
                'configure another backend at the agent.'
            )
        self._capacity = capacity
        if Operation.EDIT in capacity.operations:
            # It says of each volume which side has changed it.
            with cinder_errors():
                self._open_session.growth.learn(
                    self._open_session.client.get_volumes()
                )
        LOG.info(
            'Agent %s answers: storage %s, exported by %s.',
            capacity.agent,
            capacity.backend,
            capacity.exporter,
        )

    def _update_volume_stats(self) -> None:
        """Ask how much room there is; none while nobody answers."""
        self._stats = {
            **self._current_stats(),
            'volume_backend_name': self._backend_name,
            'vendor_name': 'VirtDC',
            'driver_version': self.VERSION,
            'filter_function': self.get_filter_function(),
            'goodness_function': self.get_goodness_function(),
        }

    @property
    def _open_session(self) -> session.Session:
        if self._session is None:
            raise exceptions.AgentUnreachable(
                'The driver is not set up: see the log of cinder-volume.'
            )
        return self._session

    def _settings(self) -> session.Settings:
        url = self.configuration.virtdc_transport_url
        if not url:
            raise exceptions.ConfigInvalid(
                'virtdc_transport_url is not set: name the message bus of '
                'the data centre, as rabbit://user:password@host:5672/virtdc.'
            )
        eventlet = monkey_patch.is_patched()
        return session.Settings(
            transport_url=url,
            topic=self.configuration.virtdc_topic,
            notification_topic=self.configuration.virtdc_notification_topic,
            submit_timeout_s=self.configuration.virtdc_submit_timeout_s,
            rpc_timeout_s=self.configuration.virtdc_rpc_timeout_s,
            operation_timeout_s=self.configuration.virtdc_operation_timeout_s,
            poll_interval_s=self.configuration.virtdc_poll_interval_s,
            # The same after a restart: the queue would be left behind.
            pool=f'virtdc-driver.{self.host}',
            executor='eventlet' if eventlet else 'threading',
            key_file=self.configuration.virtdc_key_file,
            accept_unsigned=self.configuration.virtdc_accept_unsigned,
        )

    @property
    def _backend_name(self) -> str:
        return self.configuration.safe_get('volume_backend_name') or 'VirtDC'

    def _pool_of(self, host: str | None) -> str | None:
        """Return the pool that a host names; ``None``: none of a name.

        Before the answer is no, the agent is asked once more.
        """
        try:
            return pools.choose(host, self._known_capacity, self._backend_name)
        except exceptions.InvalidRequest:
            self._capacity = self._open_session.client.get_capacity()
            return pools.choose(host, self._capacity, self._backend_name)

    @property
    def _known_capacity(self) -> events.Capacity:
        if self._capacity is None:
            self._capacity = self._open_session.client.get_capacity()
        return self._capacity

    def _run(
        self,
        volume: Any,
        parameters: events.Parameters,
        owner: Any = None,
        name_id: str | None = None,
    ) -> None:
        context = request_context.get_current()
        operation = events.operation_of(parameters)
        self._check_offered(operation)
        with tracing.beneath_cinder(f'virtdc {operation}') as trace:
            event = translate.event(
                volume,
                parameters,
                event_id=str(uuid.uuid4()),
                now=datetime.datetime.now(datetime.UTC),
                request_id=context.request_id if context else '',
                owner=owner,
                name_id=name_id,
                trace=trace,
            )
            self._open_session.runner.run(event)

    def _check_offered(self, operation: Operation) -> None:
        """Refuse what the data centre has not declared."""
        if not self._is_offered(operation):
            translate.check_offered(operation, self._known_capacity)

    def _is_offered(self, operation: Operation) -> bool:
        """Say whether the data centre has declared that it can do something.

        An older agent would call it malformed. Before the answer is no, the
        agent is asked once more: it may have been upgraded since.
        """
        if operation in NEEDED or operation in self._known_capacity.operations:
            return True
        self._capacity = self._open_session.client.get_capacity()
        return operation in self._capacity.operations

    def _current_stats(self) -> dict[str, Any]:
        try:
            # As long as an operation would try: a bus that blinks is not an
            # agent that is down, and Cinder asks again only in a minute.
            capacity = self._open_session.client.await_agent()
        except exceptions.VirtDCError as exc:
            if not self._is_down:
                LOG.warning('Nothing is scheduled to %s: %s', self.host, exc)
            self._is_down = True
            return stats.stats_when_down(self._capacity)
        if self._is_down:
            LOG.info('Agent %s answers again.', capacity.agent)
        self._is_down = False
        self._capacity = capacity
        pending = self._open_session.growth.pending(self._size_in_cinder)
        return stats.without(
            stats.stats(capacity),
            provisioned_bytes=pending.provisioned_bytes,
            taken_bytes=pending.taken_bytes,
        )

    def _init_vendor_properties(self) -> tuple[dict[str, Any], str]:
        """Describe the extra specs that a volume type may have."""
        properties: dict[str, Any] = {}
        for name, title, kind in (
            (translate.FORMAT_SPEC, 'Format', Format),
            (translate.PROVISIONING_SPEC, 'Provisioning', Provisioning),
        ):
            self._set_property(
                properties,
                name,
                title,
                f'{title} of the volume in the data centre.',
                'string',
                enum=[member.value for member in kind],
            )
        self._set_property(
            properties,
            translate.EXPORTER_SPEC,
            'Exporter',
            'How hosts reach the volume: an exporter of the data centre.',
            'string',
            **translate.exporter_choices(self._capacity),
        )
        return properties, 'virtdc'


@contextlib.contextmanager
def cinder_errors(
    *,
    failed: Callable[..., Exception] = exception.VolumeBackendAPIException,
    rejected: Callable[..., Exception] | None = None,
) -> Iterator[None]:
    """Raise in Cinder's words what goes wrong, with our sentence.

    :param failed: for all errors but those of the configuration.
    :param rejected: for an event that was refused and changed nothing.
    """
    try:
        yield
    except exceptions.ConfigInvalid as exc:
        raise exception.VolumeDriverException(message=str(exc)) from exc
    except exceptions.OperationFailed as exc:
        kind = rejected if rejected and exc.is_rejected else failed
        raise kind(message=str(exc)) from exc
    except exceptions.VirtDCError as exc:
        raise failed(message=str(exc)) from exc
