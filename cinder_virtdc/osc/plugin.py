"""What makes ``virtdc`` a plugin of the ``openstack`` client."""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib import utils

API_NAME = 'virtdc'
API_VERSION_OPTION = 'os_virtdc_api_version'
DEFAULT_API_VERSION = '1'
API_VERSIONS = ('1',)


def make_client(instance: Any) -> Any:
    """Return the client of the data centre that the options name.

    :param instance: the ``ClientManager``.
    """
    # Here, because every "openstack" command imports this module.
    from cinder_virtdc.osc import client

    options = instance._cli_options.config
    return client.make(
        instance,
        # The second is how clouds.yaml names the address of any service.
        endpoint=options.get('virtdc_endpoint')
        or options.get('virtdc_endpoint_override')
        or None,
        token=options.get('virtdc_token') or None,
    )


def build_option_parser(
    parser: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """Add the options that stand before the command."""
    parser.add_argument(
        '--os-virtdc-api-version',
        metavar='<virtdc-api-version>',
        default=utils.env('OS_VIRTDC_API_VERSION'),
        help='Version of the API of VirtDC, default='
        f'{DEFAULT_API_VERSION} (Env: OS_VIRTDC_API_VERSION)',
    )
    parser.add_argument(
        '--virtdc-endpoint',
        metavar='<url>',
        default=utils.env('OS_VIRTDC_ENDPOINT'),
        help="Address of the data centre's API, as http://127.0.0.1:8788; "
        "default: that of the service type virtdc in Keystone's catalog "
        '(Env: OS_VIRTDC_ENDPOINT)',
    )
    parser.add_argument(
        '--virtdc-token',
        metavar='<token>',
        default=utils.env('OS_VIRTDC_TOKEN'),
        help='Static token of a data centre without Keystone; rather in the '
        "environment than here, where every user's ps shows it "
        '(Env: OS_VIRTDC_TOKEN)',
    )
    return parser
