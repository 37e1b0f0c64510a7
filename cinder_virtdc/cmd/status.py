"""``cinder-virtdc-status``: whether the cloud's side can work as it is."""

from __future__ import annotations

import argparse
import logging
import sys

from oslo_config import cfg
from oslo_log import log
from oslo_service import backend
from oslo_upgradecheck import upgradecheck

from cinder_virtdc import opts


def main() -> int:
    """Run the checks; exit with 0, 1 (warnings), 2 (failures) or 255."""
    # As in the listener: before the first import of oslo.messaging.
    backend.init_backend(backend.BackendType.THREADING)
    from cinder_virtdc.upgrade_checks import Checks

    conf = cfg.CONF
    log.register_options(conf)
    opts.register_listener_opts(conf)
    # What is wrong is in the table.
    logging.getLogger().addHandler(logging.NullHandler())
    return upgradecheck.main(
        conf,
        project='cinder-virtdc',
        upgrade_command=Checks(conf),
        argv=sys.argv[1:],
        default_config_files=cfg.find_config_files(
            project='cinder-virtdc', prog='cinder-virtdc-listener'
        ),
    )


def parser() -> argparse.ArgumentParser:
    """Return a parser of all commands, to describe them by."""
    described = argparse.ArgumentParser('cinder-virtdc-status')
    categories = described.add_subparsers(metavar='command')
    upgrade = categories.add_parser(
        'upgrade', help='whether this version can work as it is'
    )
    actions = upgrade.add_subparsers(metavar='action')
    check = actions.add_parser(
        'check', help='look at what this version would find'
    )
    check.add_argument('--json', action='store_true', help='for programs')
    return described


if __name__ == '__main__':
    sys.exit(main())
