"""Makes the application and its server as configured.

Refuses what would be open to all: listening beyond this machine without
asking callers who they are.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import logging
from typing import Any

from oslo_config import cfg

from virtdc_agent.api import admission
from virtdc_agent.api import app
from virtdc_agent.api import callers
from virtdc_agent.api import keystone
from virtdc_agent.api.platform import Platform
from virtdc_agent.api import policies
from virtdc_agent.api import rates
from virtdc_agent.api import server
from virtdc_agent.api import tokens
from virtdc_agent.api import watching
from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent.intake import Intake
from virtdc_agent import interfaces
from virtdc_agent import model

LOG = logging.getLogger(__name__)


class Api:
    """The application over a data centre, ready to be served.

    :param journal: what this process reads and writes by.
    :param others_write: other processes do, too, who tell us nothing.
    :raises ConfigInvalid: the configuration cannot work, or is not safe.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        *,
        journal: interfaces.Journal,
        keeping: interfaces.JournalKeeping,
        intake: Intake,
        clock: interfaces.Clock,
        operations: frozenset[events.Operation],
        describe: Callable[[], model.Description],
        pools: Sequence[str],
        exporters: Sequence[str],
        manageables: interfaces.Manageables,
        limits: interfaces.LimitHistory,
        others_write: bool,
        meter: interfaces.Meter | None = None,
    ) -> None:
        self._conf = conf
        self._clock = clock
        self._watch = watching.Watch(
            journal,
            clock,
            poll_s=conf.api.poll_interval_s if others_write else None,
            max_watchers=conf.api.max_watchers,
        )
        self._rates = rates.Rates(
            clock, per_s=conf.api.rate_per_s, burst=conf.api.burst
        )
        self._tokens: tokens.Tokens | None = None
        self._server: server.ApiServer | None = None
        platform = Platform(
            journal=journal,
            keeping=keeping,
            intake=intake,
            clock=clock,
            watch=self._watch,
            authorizer=policies.Authorizer(_enforcer(conf)),
            operations=operations,
            describe=describe,
            pools=pools,
            exporters=exporters,
            manageables=manageables,
            limits=limits,
            meter=meter or interfaces.Meter(),
        )
        strategy: str = conf.api.auth_strategy
        application = app.make_application(
            platform,
            app.Settings(
                authenticators=self._authenticators(),
                local_only=strategy == 'none',
                secure=bool(conf.api.tls_certificate_file),
                requests=self._rates,
                enable_sse=conf.api.enable_sse,
                console=conf.api.console,
            ),
        )
        if strategy == 'keystone':
            application = keystone.protect(application, conf)
        self.application: Callable[..., Any] = application

    def make_server(self) -> server.ApiServer:
        """Return what serves it from this process.

        :raises ConfigInvalid: where it is to listen is not safe.
        """
        options = self._conf.api
        check_exposure(self._conf)
        self._tls = _tls(self._conf)
        self._server = server.ApiServer(
            self.application,
            address=(options.bind_host, options.bind_port),
            threads=options.threads + options.max_watchers,
            clock=self._clock,
            tls=self._tls,
            on_stop=self._watch.close,
        )
        return self._server

    def reload(self) -> None:
        """Use what the configuration says now, as far as it may change.

        A certificate is read again though its name is the same.

        :raises ConfigInvalid: it cannot be used; all is as it was.
        """
        options = self._conf.api
        if self._tokens is not None:
            tokens.read(options.tokens_file)
        if self._server is not None:
            wanted = _tls(self._conf)
            if (wanted is None) != (self._tls is None):
                raise exceptions.ConfigInvalid(
                    'To have TLS or to have none, by [api] '
                    'tls_certificate_file, the agent has to be restarted.'
                )
            if wanted is not None:
                self._server.use_certificate(*wanted)
            self._server.use_threads(options.threads + options.max_watchers)
        if self._tokens is not None:
            self._tokens.use(options.tokens_file)
        self._watch.use(options.max_watchers)
        self._rates.use(per_s=options.rate_per_s, burst=options.burst)

    def _authenticators(self) -> Sequence[callers.Authenticator]:
        match self._conf.api.auth_strategy:
            case 'token':
                self._tokens = tokens.Tokens(self._conf.api.tokens_file)
                if not self._tokens.entries:
                    LOG.warning(
                        'There are no tokens: nobody can use the API. '
                        '"virtdc-manage token create" makes one.'
                    )
                return [self._tokens]
            case 'keystone':
                return [keystone.Keystone()]
        return [callers.Anybody()]


def check_exposure(conf: cfg.ConfigOpts) -> None:
    """Refuse to be open to all; warn of what can be listened to.

    :raises ConfigInvalid: it would be open to all.
    """
    host: str = conf.api.bind_host
    if admission.is_loopback(host):
        return
    if conf.api.auth_strategy == 'none':
        raise exceptions.ConfigInvalid(
            f'[api] bind_host = {host} is reached by others, and '
            'auth_strategy = none lets anybody delete volumes: choose token '
            'or keystone, or listen on 127.0.0.1.'
        )
    if _tls(conf) is None:
        LOG.warning(
            'The API listens on %s without TLS: tokens can be read on the '
            'way. Set [api] tls_certificate_file, or put it behind a proxy '
            'that has TLS.',
            host,
        )


def _tls(conf: cfg.ConfigOpts) -> tuple[str, str] | None:
    certificate, key = conf.api.tls_certificate_file, conf.api.tls_key_file
    if bool(certificate) != bool(key):
        raise exceptions.ConfigInvalid(
            '[api] tls_certificate_file and tls_key_file go together: set '
            'both or neither.'
        )
    return (certificate, key) if certificate else None


def _enforcer(conf: cfg.ConfigOpts) -> Any:
    try:
        return policies.make_enforcer(conf)
    except (cfg.Error, ValueError) as exc:
        raise exceptions.ConfigInvalid(
            f'[oslo_policy] cannot be used: {exc}'
        ) from exc
