"""``virtdc-status``: whether this version can take the agent's place."""

from __future__ import annotations

import argparse
import logging
import sys

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend
from oslo_upgradecheck import upgradecheck

from virtdc_agent import opts


def main() -> int:
    """Run the checks; exit with 0, 1 (warnings), 2 (failures) or 255."""
    # As in the agent: before the first import of oslo.messaging.
    backend.init_backend(backend.BackendType.THREADING)
    from virtdc_agent.cmd.status.checks import Checks

    conf = cfg.ConfigOpts()
    log.register_options(conf)
    opts.register_opts(conf)
    # What is wrong is in the table.
    logging.getLogger().addHandler(logging.NullHandler())
    return upgradecheck.main(
        conf,
        project='virtdc',
        upgrade_command=Checks(conf),
        argv=sys.argv[1:],
        default_config_files=cfg.find_config_files(
            project='virtdc', prog='virtdc-agent'
        ),
    )


def parser() -> argparse.ArgumentParser:
    """Return a parser of all commands, to describe them by."""
    described = argparse.ArgumentParser('virtdc-status')
    categories = described.add_subparsers(metavar='command')
    upgrade = categories.add_parser(
        'upgrade', help='whether this version can take over'
    )
    actions = upgrade.add_subparsers(metavar='action')
    check = actions.add_parser(
        'check', help='look at what this version would find'
    )
    check.add_argument('--json', action='store_true', help='for programs')
    return described


if __name__ == '__main__':
    sys.exit(main())
