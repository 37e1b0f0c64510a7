"""``virtdc-manage agent``: who executes, and what each of them holds."""

from __future__ import annotations

import argparse
import dataclasses
import threading

from oslo_config import cfg

from virtdc_agent.clock import SystemClock
from virtdc_agent.cmd.manage import output
from virtdc_agent import exceptions
from virtdc_agent import interfaces
from virtdc_agent import model

_COLUMNS = (
    *('name', 'is_alive', 'lease_until', 'running', 'closed', 'is_draining'),
    *('is_publisher', 'host', 'process_id', 'started_at', 'version'),
)
_PAUSE_S = 0.5


def add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    """Add the commands to the program."""
    parser = categories.add_parser(
        'agent', help='agents: who executes, and what each of them holds'
    )
    actions = parser.add_subparsers(dest='action', required=True)
    listing = actions.add_parser(
        'list', help='list the agents that have joined, with their leases'
    )
    output.add_format(listing)
    listing.set_defaults(run=_list)
    draining = actions.add_parser(
        'drain',
        help='have an agent take no more events; it finishes what runs',
    )
    draining.add_argument('agent_name', metavar='name')
    draining.add_argument(
        '--wait', action='store_true', help='until nothing of it runs'
    )
    draining.add_argument(
        '--timeout',
        type=float,
        default=600.0,
        metavar='SECONDS',
        help='how long to wait at most (default: 600)',
    )
    draining.set_defaults(run=_drain)
    resuming = actions.add_parser(
        'resume', help='have a drained agent take events again'
    )
    resuming.add_argument('agent_name', metavar='name')
    resuming.set_defaults(run=_resume)


def _list(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    rows = [
        dataclasses.asdict(agent)
        for agent in service.open_keeping(conf).get_agents()
    ]
    output.show_list(rows, _COLUMNS, conf.category.format)
    return 0


def _drain(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    wanted, clock = conf.category, SystemClock()
    keeping = service.open_keeping(conf)
    keeping.set_draining(wanted.agent_name, True)
    print(f'Agent {wanted.agent_name} is to take no more events.')
    until = clock.monotonic() + wanted.timeout
    pause = threading.Condition()
    told = _find(keeping, wanted.agent_name)
    while wanted.wait:
        agent = _find(keeping, wanted.agent_name)
        # It hears of it when it renews its lease, and may take some until
        # then.
        has_heard = not agent.is_alive or agent.lease_until != told.lease_until
        if has_heard and not agent.running and not agent.closed:
            print(f'Nothing of agent {wanted.agent_name} runs.')
            break
        if clock.monotonic() >= until:
            raise exceptions.AgentError(
                f'{agent.running} events of agent {agent.name} still run, and '
                f'{agent.closed} volumes are closed.'
                if has_heard
                else f'Agent {agent.name} has not heard of it yet: it renews '
                'its lease three times in [executor] lease_s.'
            )
        with pause:
            clock.wait(pause, _PAUSE_S)
    return 0


def _resume(conf: cfg.ConfigOpts) -> int:
    from virtdc_agent import service

    name = conf.category.agent_name
    service.open_keeping(conf).set_draining(name, False)
    print(f'Agent {name} is to take events again.')
    return 0


def _find(keeping: interfaces.JournalKeeping, name: str) -> model.AgentRecord:
    for agent in keeping.get_agents():
        if agent.name == name:
            return agent
    raise exceptions.AgentNotFound(f'Agent {name} is gone.')
