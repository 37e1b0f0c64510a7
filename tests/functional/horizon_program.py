"""Run in Horizon's environment: asks a server as the plugin would.

Arguments: the server's address, and the file of an authority that vouches
for it. Prints what became of each setting of Horizon, as JSON.
"""

from __future__ import annotations

import json
import sys
import types

import django
from django.test.utils import override_settings

from cinder_virtdc.rest_client import ApiError


def main() -> None:
    url, authority = sys.argv[1:]
    django.setup()
    # It reads the settings.
    from cinder_virtdc.horizon import asking

    def ask() -> str:
        address = {'interface': 'public', 'region': 'R', 'url': url}
        request = types.SimpleNamespace(
            user=types.SimpleNamespace(
                services_region='R',
                token=types.SimpleNamespace(id='secret'),
                service_catalog=[{'type': 'virtdc', 'endpoints': [address]}],
            )
        )
        try:
            return ' '.join(asking.data_centre(request).may)
        except ApiError as exc:
            return str(exc)

    found = {}
    for name, settings in (
        ('default', {}),
        ('authority', {'OPENSTACK_SSL_CACERT': authority}),
        ('not at all', {'OPENSTACK_SSL_NO_VERIFY': True}),
    ):
        with override_settings(**settings):
            found[name] = ask()
    print(json.dumps(found))


if __name__ == '__main__':
    main()
