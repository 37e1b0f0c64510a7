"""OpenStack's own tests of volumes: their configuration, a run, its end."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
from pathlib import Path
import re
import subprocess

from tests.acceptance import excluded
from tools.lab import configuration
from tools.lab import installation
from tools.lab import keystone
from tools.lab import stack

CONCURRENCY = 2
_PROJECTS = 6
_COUNTED = re.compile(r'^ - (Passed|Skipped|Failed): (\d+)$', re.MULTILINE)
_SKIPPED = re.compile(r'^\{\d+\} (.*?) \.\.\. SKIPPED: (.*)$', re.MULTILINE)
_FAILED = re.compile(
    r'^\{\d+\} (.*?) (?:\[.*\] )?\.\.\. FAILED$', re.MULTILINE
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One run of a part of the tests.

    :param with_network: let classes run that would have a network for each
        project, though few of their tests use it. Their projects and users
        are made beforehand, as without a network they cannot be on the fly.
    """

    name: str
    regex: str
    with_network: bool = False


PASSES = (
    Pass(name='volumes', regex=r'^tempest\.api\.volume'),
    Pass(name='plugin', regex=r'^cinder_tempest_plugin\.api'),
    Pass(
        name='volumes, network declared',
        regex=r'^tempest\.api\.volume.*'
        r'(VolumesActionsTest|VolumesSnapshotTestJSON|VolumesExtend'
        r'|VolumesBackupsTest)',
        with_network=True,
    ),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a run ended.

    :param skipped: reasons, by the test or class.
    """

    passed: int
    failed: Sequence[str]
    skipped: Mapping[str, str]


def result_of(output: str, status: int) -> Result:
    """Read what tempest printed; no count or an unexplained end is a fail."""
    counts = dict(_COUNTED.findall(output))
    failed = sorted(set(_FAILED.findall(output)))
    if not counts or (status and not failed):
        failed.append(f'tempest ended with {status}')
    return Result(
        passed=int(counts.get('Passed', 0)),
        failed=failed,
        skipped=dict(_SKIPPED.findall(output)),
    )


class Tempest:
    """Runs parts of tempest against a lab.

    :param image: id of a public image.
    """

    def __init__(
        self,
        lab: stack.Lab,
        venv: installation.Installation,
        folder: Path,
        *,
        image: str,
    ) -> None:
        if lab.keystone is None:
            raise ValueError('tempest needs Keystone')
        self._keystone: keystone.Keystone = lab.keystone
        self._venv = venv
        self._folder = folder
        self._image = image
        self._native_threads = lab.settings.native_threads

    def run(self, part: Pass) -> Result:
        """Run a part; its whole output is kept in a log of its name."""
        workspace = self._folder / re.sub(r'\W+', '-', part.name)
        subprocess.run(
            [
                *(self._venv.program('tempest'), 'init'),
                # Its own list of names: a second run may have the same.
                *('--workspace-path', str(self._folder / 'workspaces.yaml')),
                str(workspace),
            ],
            check=True,
            capture_output=True,
        )
        sections = self._sections(workspace)
        if part.with_network:
            accounts = workspace / 'etc' / 'accounts.yaml'
            # JSON is YAML.
            accounts.write_text(json.dumps(self._accounts(part)))
            sections = configuration.merge(
                sections,
                {
                    'auth': {
                        'use_dynamic_credentials': False,
                        'test_accounts_file': accounts,
                    },
                    'service_available': {'neutron': True},
                },
            )
        configuration.write_sections(
            workspace / 'etc' / 'tempest.conf', sections
        )
        left_out = excluded.excluded(
            part.regex, native_threads=self._native_threads
        )
        names = '|'.join(re.escape(one.test) for one in left_out)
        done = subprocess.run(
            [
                *(self._venv.program('tempest'), 'run'),
                *('--regex', part.regex, '--concurrency', str(CONCURRENCY)),
                *(['--exclude-regex', names] if names else []),
            ],
            cwd=workspace,
            capture_output=True,
            text=True,
            check=False,
        )
        (self._folder / f'{workspace.name}.log').write_text(
            done.stdout + done.stderr
        )
        result = result_of(done.stdout, done.returncode)
        reasons = {one.test: one.reason for one in left_out}
        return dataclasses.replace(
            result, skipped={**result.skipped, **reasons}
        )

    def _sections(self, workspace: Path) -> configuration.Sections:
        return {
            'DEFAULT': {'log_file': workspace / 'tempest.log'},
            'oslo_concurrency': {'lock_path': workspace / 'locks'},
            'auth': {
                'use_dynamic_credentials': True,
                'create_isolated_networks': False,
                'admin_username': 'admin',
                'admin_password': self._keystone.password('admin'),
                'admin_project_name': 'admin',
                'admin_domain_name': 'Default',
                'tempest_roles': 'member',
            },
            'identity': {
                'auth_version': 'v3',
                'uri_v3': self._keystone.url,
                'region': 'RegionOne',
                'v3_endpoint_type': 'public',
            },
            'service_available': {
                'cinder': True,
                'glance': True,
                'nova': False,
                'neutron': False,
                'swift': False,
                'horizon': False,
            },
            'compute': {
                'image_ref': self._image,
                'image_ref_alt': self._image,
            },
            'validation': {
                'run_validation': False,
                'connect_method': 'fixed',
            },
            'volume': {
                'catalog_type': 'volumev3',
                'endpoint_type': 'publicURL',
                'region': 'RegionOne',
                'min_microversion': '3.0',
                'max_microversion': 'latest',
                'volume_size': 1,
                'storage_protocol': 'nfs',
                'vendor_name': 'VirtDC',
                'disk_format': 'raw',
                'build_interval': 1,
                'build_timeout': 90,
            },
            'volume-feature-enabled': {
                'snapshot': True,
                'clone': True,
                'volume_revert': True,
                'extend_volume_with_snapshot': True,
                'backup': True,
                # There is no such operation.
                'manage_volume': False,
                'manage_snapshot': False,
                'multi_backend': False,
                'extend_attached_volume': False,
            },
        }

    def _accounts(self, part: Pass) -> list[dict[str, object]]:
        """Make projects, each with a member, a reader and an administrator."""
        client = self._keystone.client()
        roles = {
            role['name']: role['id'] for role in client.get('/roles')['roles']
        }
        found: list[dict[str, object]] = []
        for number in range(_PROJECTS):
            project = f'tempest-{number}'
            body = {'project': {'name': project, 'domain_id': 'default'}}
            project_id = client.post('/projects', body)['project']['id']
            for role in ('member', 'reader', 'admin'):
                name = f'{project}-{role}'
                user = {
                    'name': name,
                    'password': name,
                    'domain_id': 'default',
                    'default_project_id': project_id,
                }
                user_id = client.post('/users', {'user': user})['user']['id']
                client.put(
                    f'/projects/{project_id}/users/{user_id}'
                    f'/roles/{roles[role]}'
                )
                found.append(
                    {
                        'username': name,
                        'password': name,
                        'project_name': project,
                        **dict.fromkeys(
                            (
                                *('domain_name', 'user_domain_name'),
                                'project_domain_name',
                            ),
                            'Default',
                        ),
                        'roles': [role],
                        **({'types': ['admin']} if role == 'admin' else {}),
                    }
                )
        return found
