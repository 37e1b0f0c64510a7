"""WSGI applications under uWSGI."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

from tools.lab import installation
from tools.lab import processes
from tools.lab import rest


def program(
    name: str,
    *,
    module: str,
    port: int,
    server: installation.Installation,
    venv: installation.Installation,
    arguments: Sequence[str] = (),
    options: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    probe: str = '/',
) -> processes.Program:
    """Describe a WSGI application on a port of loopback.

    :param module: the application, as ``package.module:callable``.
    :param server: where uWSGI is.
    :param venv: where the application is.
    :param arguments: what the application finds in ``sys.argv``.
    :param options: further options of uWSGI.
    :param probe: a path that answers below 400 as soon as all is well.
    """
    address = f'127.0.0.1:{port}'
    argv = [
        server.program('uwsgi'),
        '--master',
        *('--http-socket', address),
        *('--module', module),
        *('--virtualenv', str(venv.prefix)),
        *('--processes', '1', '--threads', '8', '--enable-threads'),
        '--lazy-apps',
        '--need-app',
        '--die-on-term',
        '--disable-logging',
        *('--buffer-size', '65535'),
        *('--add-header', 'Connection: close'),
        *options,
    ]
    if arguments:
        argv += ['--pyargv', ' '.join(arguments)]
    service = rest.Rest(f'http://{address}', timeout_s=5.0)
    return processes.Program(
        name=name,
        argv=argv,
        environment=environment or {},
        ready=lambda: service.answers(probe),
    )
