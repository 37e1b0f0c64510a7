"""What a listener of this version would find, looked at before it starts.

Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
from typing import Any

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck
from oslo_upgradecheck.upgradecheck import Code
from oslo_upgradecheck.upgradecheck import Result

from cinder_virtdc.bus.caller import BusCaller
from cinder_virtdc.bus import session
from cinder_virtdc.clock import SystemClock
from cinder_virtdc.cloud.sdk import SdkCloud
from cinder_virtdc import exceptions
from cinder_virtdc import opts
from virtdc_agent.contract import codec
from virtdc_agent.monitoring.reaching import Reach
from virtdc_agent.monitoring import settings

NAMESPACES = (
    'cinder_virtdc.listener',
    'oslo.log',
    'oslo.messaging',
    'oslo.reports',
)
_OK = Result(Code.SUCCESS)


def _answered(
    check: Callable[[Checks], Result],
) -> Callable[[Checks], Result]:
    @functools.wraps(check)
    def run(self: Checks) -> Result:
        try:
            return check(self)
        except (cfg.Error, exceptions.VirtDCError) as exc:
            return Result(Code.FAILURE, str(exc))

    return run


class Checks(upgradecheck.UpgradeCommands):
    """The checks, with the listener's configuration."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    @_answered
    def check_configuration(self) -> Result:
        """Find options that nobody reads."""
        strange = list(
            settings.find_strange(
                self._conf,
                NAMESPACES,
                # Its options depend on the plugin that it names.
                skipped=[opts.CINDER_GROUP],
            )
        )
        if not strange:
            return _OK
        return Result(
            Code.WARNING,
            'Nobody reads, or not for long: '
            + '; '.join(map(str, strange))
            + '. Remove or rename them.',
        )

    @_answered
    def check_bus(self) -> Result:
        """See that the message bus is named and can be reached."""
        self._connect()
        reach = Reach('bus', session.list_hosts(self._conf))
        reach.look()
        found = reach.check()
        if not found.ok:
            return Result(
                Code.FAILURE,
                f'[DEFAULT] transport_url: {found.message}. Look at the '
                'broker, and at the address.',
            )
        return _OK

    @_answered
    def check_key(self) -> Result:
        """See that the file of keys can be used."""
        self._seal()
        if not self._options.key_file:
            return Result(
                Code.WARNING,
                '[virtdc] key_file is not set: whoever may write to the '
                'virtual host is believed.',
            )
        return _OK

    @_answered
    def check_agent(self) -> Result:
        """Ask the agent for what it is, and which contract it speaks."""
        calls, _ = self._connect()
        options = self._options
        caller = BusCaller(calls, topic=options.topic, seal=self._seal())
        answer: Any = caller.call('get_capacity', {}, options.rpc_timeout_s)
        item = answer.get('item') if isinstance(answer, dict) else None
        version = str((item or {}).get('version', ''))
        theirs, ours = version.split('.'), codec.VERSION.split('.')
        if theirs[0] != ours[0]:
            return Result(
                Code.FAILURE,
                f'The agent speaks version {version or "?"} of the contract, '
                f'and this is {codec.VERSION}: upgrade the older side.',
            )
        if theirs != ours:
            return Result(
                Code.WARNING,
                f'The agent speaks version {version} of the contract, and '
                f'this is {codec.VERSION}: what only one side knows is not '
                'offered until the other is upgraded.',
            )
        return Result(Code.SUCCESS, f'The agent speaks {version}, too.')

    @_answered
    def check_rights(self) -> Result:
        """See that Cinder lets the listener do what it has to."""
        cloud = SdkCloud.from_config(self._conf)
        for what, path in (
            ('see the volumes of all projects', '/volumes?all_tenants=1'),
            ('administrate volumes', '/os-services'),
        ):
            try:
                cloud.ask('GET', path + ('&limit=1' if '?' in path else ''))
            except exceptions.CloudForbids as exc:
                return Result(
                    Code.FAILURE,
                    f'The user in [cinder] may not {what}: {exc}',
                )
        return _OK

    @property
    def _options(self) -> Any:
        return self._conf[opts.LISTENER_GROUP]

    def _connect(self) -> Any:
        return session.open_transports(
            self._conf, None, option='[DEFAULT] transport_url'
        )

    def _seal(self) -> Any:
        return session.open_seal(
            self._options.key_file,
            accept_unsigned=self._options.accept_unsigned,
            option='[virtdc] key_file',
            clock=SystemClock(),
        )

    _upgrade_checks = (
        ('Configuration', check_configuration),
        ('Message bus', check_bus),
        ('Signing key', check_key),
        ('Agent', check_agent),
        ('Rights in Cinder', check_rights),
    )
