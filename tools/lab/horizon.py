"""Horizon, the dashboard, with our plugin, in an environment of its own."""

from __future__ import annotations

from pathlib import Path
import secrets
import shutil

from tools.lab import configuration
from tools.lab import environment
from tools.lab import installation
from tools.lab import ports
from tools.lab import processes
from tools.lab import wsgi

_PACKAGES = ('horizon', 'glance', 'PyMySQL')
_ENABLED = environment.ROOT / 'cinder_virtdc' / 'horizon' / 'enabled'

_SETTINGS = """\
from openstack_dashboard.settings import HORIZON_CONFIG

HORIZON_CONFIG['customization_module'] = 'lab_dashboard.overrides'
DEBUG = False
ALLOWED_HOSTS = ['*']
WEBROOT = '/'
SECRET_KEY = {secret!r}
LOCAL_PATH = {local!r}
STATIC_ROOT = {static!r}
COMPRESS_OFFLINE = True
OPENSTACK_KEYSTONE_URL = {keystone!r}
OPENSTACK_API_VERSIONS = {{'identity': 3, 'volume': 3}}
SESSION_ENGINE = 'django.contrib.sessions.backends.file'
SESSION_FILE_PATH = {sessions!r}
CACHES = {{
    'default': {{'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}}
}}
TIME_ZONE = 'UTC'
"""

_OVERRIDES = '''\
"""Without Nova there are no instances to name, and no error to show."""
from openstack_dashboard.api import base
from openstack_dashboard.dashboards.project.volumes import views

_get_instances = views.VolumeTableMixIn._get_instances


def _instances_if_any(self, *args, **kwargs):
    if base.is_service_enabled(self.request, 'compute'):
        return _get_instances(self, *args, **kwargs)
    return []


views.VolumeTableMixIn._get_instances = _instances_if_any
'''


def dashboard(
    supervisor: processes.Supervisor, prefix: Path | None
) -> environment.Environment:
    """Return the environment of Horizon and Glance.

    :param prefix: where it is kept; by default beside the sources.
    """
    return environment.Environment(
        supervisor,
        prefix or environment.ROOT / '.venv-horizon',
        name='dashboard-venv',
        constraints=environment.ROOT / 'constraints-horizon.txt',
        packages=_PACKAGES,
        extra='horizon',
    )


class Horizon:
    """The dashboard under uWSGI, its static files made once per install.

    Our plugin is enabled; without the data centre's API in the catalogue,
    nothing is to be seen of it.

    :ivar environment: with which its programs are run.
    """

    def __init__(
        self,
        supervisor: processes.Supervisor,
        free: ports.Ports,
        *,
        server: installation.Installation,
        venv: installation.Installation,
        keystone_url: str,
    ) -> None:
        self._supervisor = supervisor
        self._venv = venv
        self._keystone_url = keystone_url
        self._folder = supervisor.folder / 'horizon'
        self._static = venv.prefix / 'lab-static'
        self.environment = {
            'DJANGO_SETTINGS_MODULE': 'openstack_dashboard.settings',
            'PYTHONPATH': str(self._folder),
        }
        port = free.take()
        self.url = f'http://127.0.0.1:{port}/'
        self.service = supervisor.service(
            wsgi.program(
                'horizon',
                module='openstack_dashboard.wsgi:application',
                port=port,
                server=server,
                venv=venv,
                options=['--static-map', f'/static={self._static}'],
                environment=self.environment,
                probe='/auth/login/',
            )
        )

    def prepare(self) -> None:
        """Write the settings, collect and compress the static files."""
        (self._folder / 'sessions').mkdir(parents=True, exist_ok=True)
        settings = _SETTINGS.format(
            secret=secrets.token_urlsafe(32),
            local=str(self._folder / 'local'),
            static=str(self._static),
            keystone=self._keystone_url,
            sessions=str(self._folder / 'sessions'),
        )
        for package, module, text in (
            ('local', 'local_settings', settings),
            ('lab_dashboard', 'overrides', _OVERRIDES),
        ):
            configuration.write(self._folder / package / '__init__.py', '')
            configuration.write(self._folder / package / f'{module}.py', text)
        self._enable_plugin()
        stamp = self._static / environment.STAMP
        # They are made anew with their environment.
        wanted = (self._venv.prefix / environment.STAMP).read_text('ascii')
        if stamp.exists() and stamp.read_text(encoding='ascii') == wanted:
            return
        for command in (
            ['collectstatic', '--noinput'],
            ['compress', '--force'],
        ):
            self._supervisor.run(
                'horizon-static',
                [self._venv.program('django-admin'), *command],
                self.environment,
            )
        stamp.write_text(wanted, encoding='ascii')

    def _enable_plugin(self) -> None:
        """Do what an installation does: copy the files that enable it."""
        (package,) = self._venv.prefix.glob(
            'lib/python*/site-packages/openstack_dashboard'
        )
        for path in sorted(_ENABLED.glob('_*_*.py')):
            shutil.copyfile(path, package / 'local' / 'enabled' / path.name)
