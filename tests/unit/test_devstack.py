"""The plugin for DevStack, run with DevStack's functions written down.

It is not run in a DevStack here, which needs a machine of its own. What it
calls stands in DevStack's ``functions-common``, ``lib/`` and ``inc/``; here
each call is noted, and ``iniset`` is judged by the options that there are.
"""

from __future__ import annotations

from collections.abc import Iterable
import os
from pathlib import Path
import shlex
import subprocess
import sys
import tempfile
from typing import Any
import unittest

from oslo_db import options as database_opts
from oslo_messaging import opts as messaging_opts

from cinder_virtdc import opts as cloud_opts
from virtdc_agent import opts as agent_opts

PLUGIN = Path(__file__).parents[2] / 'devstack'

PREAMBLE = r"""
set -eu
function note { printf '%s\n' "$(printf '%q ' "$@")" >> "$CALLS"; }
for name in iniset sudo define_plugin enable_service install_package \
        setup_develop echo_summary run_process stop_process rabbit_setuser \
        virtdc-manage rpc_backend_add_vhost create_service_user \
        get_or_create_endpoint \
        configure_keystone_authtoken_middleware; do
    eval "function $name { note $name \"\$@\"; }"
done
function get_or_create_service { note get_or_create_service "$@"; echo id; }
function get_python_exec_prefix { echo /opt/stack/data/venv/bin; }
function is_service_enabled { true; }
source $PLUGIN/override-defaults
source $PLUGIN/settings
"""

SETTINGS = {
    'RABBIT_HOST': '127.0.0.1',
    'RABBIT_PASSWORD': 'a secret',
    'SERVICE_PASSWORD': 'another',
    'SERVICE_DOMAIN_NAME': 'Default',
    'SERVICE_PROJECT_NAME': 'service',
    'KEYSTONE_SERVICE_URI': 'http://127.0.0.1/identity',
    'REGION_NAME': 'RegionOne',
    'STACK_USER': 'stack',
    'ENABLE_DEBUG_LOG_LEVEL': 'True',
}


class TestPlugin(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.calls = self.folder / 'calls'
        for name in ('conf', 'data/virtdc/volumes'):
            (self.folder / name).mkdir(parents=True)

    def run_plugin(self, *commands: str) -> list[list[str]]:
        """Run commands of the plugin; return what it called."""
        environment = {
            **SETTINGS,
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            'HOME': str(self.folder),
            'PLUGIN': str(PLUGIN),
            'CALLS': str(self.calls),
            'DEST': '/opt/stack',
            'DATA_DIR': str(self.folder / 'data'),
            'VIRTDC_CONF_DIR': str(self.folder / 'conf'),
            'CINDER_CONF': '/etc/cinder/cinder.conf',
        }
        self.calls.write_text('', encoding='utf-8')
        done = subprocess.run(
            ['bash', '-c', PREAMBLE + '\n'.join(commands)],
            env=environment,
            capture_output=True,
            text=True,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        return [
            shlex.split(line)
            for line in self.calls.read_text(encoding='utf-8').splitlines()
        ]

    def phase(self, *words: str) -> list[list[str]]:
        return self.run_plugin(f'source $PLUGIN/plugin.sh {" ".join(words)}')

    def written(self, calls: Iterable[list[str]], file: str) -> set[str]:
        """Return what was set in a file, as ``[group] name``."""
        return {
            f'[{call[2]}] {call[3]}'
            for call in calls
            if call[0] == 'iniset' and call[1] == file
        }

    def test_it_is_enabled_beside_what_there_is(self) -> None:
        calls = self.run_plugin('note "$CINDER_ENABLED_BACKENDS"')
        self.assertIn(['lvm:lvmdriver-1,virtdc:virtdc'], calls)
        self.assertIn(
            ['enable_service', 'virtdc-agent', 'virtdc-listener'], calls
        )

    def test_what_it_sets_are_options(self) -> None:
        calls = self.phase('stack', 'post-config')
        conf = self.folder / 'conf'
        agent = self.written(calls, f'{conf}/virtdc-agent.conf')
        self.assertGreater(len(agent), 8)
        known = _names(agent_opts.list_opts()) | _ELSEWHERE
        self.assertLessEqual(agent, known)
        listener = self.written(calls, f'{conf}/cinder-virtdc-listener.conf')
        self.assertGreater(len(listener), 8)
        known = _names(cloud_opts.list_listener_opts()) | _ELSEWHERE
        self.assertLessEqual(listener, known)

    def test_a_backend_of_cinder(self) -> None:
        calls = self.run_plugin(
            'source $PLUGIN/plugin.sh stack pre-install',
            'configure_cinder_backend_virtdc east',
        )
        known = {
            f'[east] {one.dest}'
            for _, options in cloud_opts.list_driver_opts()
            for one in options
        }
        self.assertLessEqual(
            self.written(calls, '/etc/cinder/cinder.conf'),
            known
            | {'[east] volume_driver', '[east] volume_backend_name'}
            | _ELSEWHERE,
        )

    def test_both_sides_meet_on_a_bus_of_their_own(self) -> None:
        calls = self.phase('stack', 'post-config')
        urls = {
            call[4]
            for call in calls
            if call[0] == 'iniset' and call[3].endswith('transport_url')
        }
        (url,) = urls
        self.assertEqual('rabbit://virtdc:a secret@127.0.0.1:5672/virtdc', url)
        self.assertIn(
            ['sudo', 'rabbitmqctl', 'clear_permissions', 'virtdc'], calls
        )

    def test_the_journal_is_made(self) -> None:
        state = self.folder / 'data' / 'virtdc'
        self.run_plugin(
            'unset -f virtdc-manage',
            'function iniset { printf "[%s]\\n%s = %s\\n" "$2" "$3" "$4" '
            '>> "$1"; }',
            'source $PLUGIN/plugin.sh stack post-config',
        )
        self.assertTrue((state / 'journal.sqlite').is_file())
        mode = (self.folder / 'conf' / 'virtdc-agent.conf').stat().st_mode
        self.assertEqual(0o600, mode & 0o777)

    def test_it_starts_and_stops_its_services(self) -> None:
        started = self.phase('stack', 'extra')
        stopped = self.phase('unstack')
        names = ['virtdc-agent', 'virtdc-listener']
        self.assertEqual(
            names, [call[1] for call in started if call[0] == 'run_process']
        )
        self.assertEqual(
            names[::-1],
            [call[1] for call in stopped if call[0] == 'stop_process'],
        )


def _names(listing: Iterable[tuple[Any, Iterable[Any]]]) -> set[str]:
    return {
        f'[{getattr(group, "name", group) or "DEFAULT"}] {one.dest}'
        for group, options in listing
        for one in options
    }


_ELSEWHERE = (
    _names(messaging_opts.list_opts())
    | _names(database_opts.list_opts())
    | {'[DEFAULT] debug'}
)
