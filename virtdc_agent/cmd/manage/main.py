"""``virtdc-manage``: what an operator does to the agent's journal."""

from __future__ import annotations

import argparse
import os
import sys

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend
from pbr import version

from virtdc_agent.cmd.manage import agent
from virtdc_agent.cmd.manage import alarm
from virtdc_agent.cmd.manage import database
from virtdc_agent.cmd.manage import event
from virtdc_agent.cmd.manage import key
from virtdc_agent.cmd.manage import token
from virtdc_agent.cmd.manage import trash
from virtdc_agent.cmd.manage import volume
from virtdc_agent.contract.errors import ContractError
from virtdc_agent import exceptions
from virtdc_agent import opts


def main() -> int:
    """Run one command."""
    # As in the agent: before the first import of oslo.messaging.
    backend.init_backend(backend.BackendType.THREADING)
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    opts.register_opts(conf)
    conf.register_cli_opt(
        cfg.SubCommandOpt(
            'category',
            title='commands',
            help='What to work on.',
            handler=_add_commands,
        )
    )
    try:
        conf(
            sys.argv[1:],
            project='virtdc',
            prog='virtdc-manage',
            # The agent's own, which it manages the journal of.
            default_config_files=cfg.find_config_files(
                project='virtdc', prog='virtdc-agent'
            ),
            version=version.VersionInfo('virtdc').version_string(),
            description='Manages the journal of virtdc-agent.',
        )
        status: int = conf.category.run(conf)
    except BrokenPipeError:
        # Who reads has seen enough; nor is there anybody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (cfg.Error, exceptions.AgentError, ContractError) as exc:
        print(f'virtdc-manage: {exc}', file=sys.stderr)
        return 1
    return status


def parser() -> argparse.ArgumentParser:
    """Return a parser of all commands, to describe them by."""
    described = argparse.ArgumentParser('virtdc-manage')
    _add_commands(described.add_subparsers(metavar='command'))
    return described


def _add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    for part in (database, event, volume, trash, agent, alarm, key, token):
        part.add_commands(categories)


if __name__ == '__main__':
    sys.exit(main())
