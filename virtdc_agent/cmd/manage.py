"""``virtdc-manage``: what an operator does to the agent's journal."""

from __future__ import annotations

import argparse
import sys

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend
from pbr import version

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
        conf.category.run(conf)
    except (cfg.Error, exceptions.AgentError) as exc:
        print(f'virtdc-manage: {exc}', file=sys.stderr)
        return 1
    return 0


def _add_commands(
    categories: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    database = categories.add_parser('db', help='the database of the journal')
    actions = database.add_subparsers(dest='action', required=True)
    actions.add_parser(
        'sync', help='bring its schema to this version; safe to repeat'
    ).set_defaults(run=_sync)
    actions.add_parser(
        'version', help='print the version of its schema'
    ).set_defaults(run=_version)


def _sync(conf: cfg.ConfigOpts) -> None:
    from virtdc_agent import service

    print(f'The journal is at version {service.sync_journal(conf)}.')


def _version(conf: cfg.ConfigOpts) -> None:
    from virtdc_agent import service

    print(service.journal_version(conf) or 'none: run "virtdc-manage db sync"')


if __name__ == '__main__':
    sys.exit(main())
