"""What an agent of this version would find, looked at before it starts.

Nothing is changed, and a running agent of another version is not disturbed.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import os
import stat
from typing import Any

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck
from oslo_upgradecheck.upgradecheck import Code
from oslo_upgradecheck.upgradecheck import Result

from virtdc_agent.api import tokens
from virtdc_agent.clock import SystemClock
from virtdc_agent.contract.errors import ContractError
from virtdc_agent.contract.events import State
from virtdc_agent.contract.key_file import KeyFile
from virtdc_agent import exceptions
from virtdc_agent import model
from virtdc_agent.monitoring import settings
from virtdc_agent import opts
from virtdc_agent import service

NAMESPACES = (
    *('virtdc_agent', 'oslo.db', 'oslo.log', 'oslo.messaging'),
    *('oslo.policy', 'oslo.reports', 'keystonemiddleware.auth_token'),
)
_PAGE = 500
_OK = Result(Code.SUCCESS)
_LATER = Result(
    Code.WARNING,
    'Not looked at: the journal has to be brought to this version first.',
)


def _answered(
    check: Callable[[Checks], Result],
) -> Callable[[Checks], Result]:
    """Have what the agent would refuse to start with be a failure."""

    @functools.wraps(check)
    def run(self: Checks) -> Result:
        try:
            return check(self)
        except (cfg.Error, exceptions.AgentError) as exc:
            return Result(Code.FAILURE, str(exc))

    return run


class Checks(upgradecheck.UpgradeCommands):
    """The checks, of what is needed first to what matters last."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    @_answered
    def check_configuration(self) -> Result:
        """Find values that cannot be, and options that nobody reads."""
        conf = self._conf
        opts.check_values(conf)
        service.Service(conf)
        pools = [opts.section_of(name) for name in conf.agent.pools]
        strange = list(
            settings.find_strange(
                conf,
                NAMESPACES,
                skipped=['keystone_authtoken', *pools],
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
    def check_journal(self) -> Result:
        """Compare the journal's schema with what this version needs."""
        current, head = service.journal_versions(self._conf)
        if current is None:
            return Result(
                Code.FAILURE,
                'There is no journal: run "virtdc-manage db sync".',
            )
        if current != head:
            return Result(
                Code.WARNING,
                f'The journal is at version {current}, and this version '
                f'needs {head}: stop the agents and run "virtdc-manage db '
                'sync" before they start.',
            )
        return _OK

    @_answered
    def check_backlog(self) -> Result:
        """Read what waits and runs, as it has to be read to be executed."""
        if not self._has_schema():
            return _LATER
        keeping = self._open()
        try:
            read = 0
            marker: int | None = None
            while True:
                page = keeping.get_records(
                    model.RecordQuery(
                        states=[State.WAITING, State.RUNNING],
                        marker=marker,
                        limit=_PAGE,
                    )
                )
                read += len(page.records)
                marker = page.next_marker
                if marker is None:
                    break
        except ContractError as exc:
            return Result(
                Code.FAILURE,
                'The journal has unfinished events that this version cannot '
                f'read ({exc}): let the version that accepted them finish '
                'them.',
            )
        finally:
            keeping.close()
        return Result(Code.SUCCESS, f'{read} events are unfinished.')

    @_answered
    def check_agents(self) -> Result:
        """Compare the versions of the agents that are alive with this."""
        if not self._has_schema():
            return _LATER
        keeping = self._open()
        try:
            alive = [one for one in keeping.get_agents() if one.is_alive]
        finally:
            keeping.close()
        own = service.code_version()
        others = [one for one in alive if one.version != own]
        if others:
            return Result(
                Code.WARNING,
                f'This is version {own}; agents that are alive: '
                + ', '.join(f'{one.name} {one.version}' for one in others)
                + '. Drain and upgrade one after the other, unless the '
                'journal has to change.',
            )
        return Result(Code.SUCCESS, f'{len(alive)} agents are alive.')

    @_answered
    def check_pools(self) -> Result:
        """See that each storage can be used, and keeps what is deleted."""
        wrong = []
        for name, problem in service.look_at_pools(self._conf):
            if problem:
                wrong.append(f'{name or "the storage"}: {problem}')
        if wrong:
            return Result(Code.FAILURE, '; '.join(wrong))
        return _OK

    @_answered
    def check_trash(self) -> Result:
        """See whether what is deleted in the data centre is kept."""
        if not self._conf.agent.trash_s:
            return Result(
                Code.WARNING,
                '[agent] trash_s is 0: what is deleted in the data centre '
                'cannot be restored.',
            )
        without = service.pools_without_trash(self._conf)
        if without:
            return Result(
                Code.WARNING,
                'What is deleted cannot be restored in: '
                + ', '.join(name or 'the storage' for name in without)
                + '.',
            )
        return _OK

    @_answered
    def check_secrets(self) -> Result:
        """See that files with secrets are there, and nobody else's."""
        conf = self._conf
        wrong = []
        if conf.agent.key_file:
            try:
                KeyFile(conf.agent.key_file, monotonic=SystemClock().monotonic)
            except ValueError as exc:
                wrong.append(f'[agent] key_file: {exc}')
        if conf.api.enabled and conf.api.auth_strategy == 'token':
            try:
                tokens.read(conf.api.tokens_file)
            except exceptions.AgentError as exc:
                wrong.append(str(exc))
        wrong += [
            f'{path} has the password of the bus, and others may read or '
            'change it: set its mode to 0640'
            for path in conf.config_file or ()
            if os.stat(path).st_mode & (stat.S_IRWXO | stat.S_IWGRP)
        ]
        if wrong:
            return Result(Code.FAILURE, '; '.join(wrong) + '.')
        if not conf.agent.key_file:
            return Result(
                Code.WARNING,
                '[agent] key_file is not set: whoever may write to the '
                'virtual host is obeyed.',
            )
        return _OK

    def _has_schema(self) -> bool:
        current, head = service.journal_versions(self._conf)
        return current == head

    def _open(self) -> Any:
        return service.open_keeping(self._conf)

    _upgrade_checks = (
        ('Configuration', check_configuration),
        ('Journal', check_journal),
        ('Unfinished events', check_backlog),
        ('Agents', check_agents),
        ('Pools', check_pools),
        ('Trash', check_trash),
        ('Secrets', check_secrets),
    )
