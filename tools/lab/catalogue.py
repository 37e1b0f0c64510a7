"""Users, services and endpoints, made over Keystone's API in one go."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from tools.lab import keystone
from tools.lab import rest

USERS = ('demo',)
"""Ordinary users, each a member of a project of its own name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """A service of the catalogue, at one address for everyone."""

    kind: str
    name: str
    url: str


def volume_entries(url: str) -> list[Entry]:
    """Return the entries of Cinder, under its new and its old name."""
    return [
        Entry('block-storage', 'cinder', url),
        Entry('volumev3', 'cinderv3', f'{url}/%(project_id)s'),
    ]


def fill(
    identity: keystone.Keystone,
    entries: Iterable[Entry],
    service_users: Iterable[str],
) -> None:
    """Make everything. To be called once per lab."""
    client = identity.client()
    roles = {
        role['name']: role['id'] for role in client.get('/roles')['roles']
    }
    service_project = _project(client, keystone.SERVICE_PROJECT)
    for name in service_users:
        user = _user(client, name, identity.password(name), service_project)
        for role in ('admin', 'service'):
            _grant(client, service_project, user, roles[role])
    for name in USERS:
        project = _project(client, name)
        user = _user(client, name, identity.password(name), project)
        _grant(client, project, user, roles['member'])
    for entry in entries:
        _register(client, entry)


def _project(client: rest.Rest, name: str) -> str:
    body = {'project': {'name': name, 'domain_id': 'default'}}
    return _id(client.post('/projects', body)['project'])


def _user(client: rest.Rest, name: str, password: str, project: str) -> str:
    body = {
        'user': {
            'name': name,
            'password': password,
            'domain_id': 'default',
            'default_project_id': project,
        }
    }
    return _id(client.post('/users', body)['user'])


def _grant(client: rest.Rest, project: str, user: str, role: str) -> None:
    client.put(f'/projects/{project}/users/{user}/roles/{role}')


def _register(client: rest.Rest, entry: Entry) -> None:
    body = {'service': {'type': entry.kind, 'name': entry.name}}
    service = _id(client.post('/services', body)['service'])
    for interface in ('public', 'internal', 'admin'):
        endpoint = {
            'service_id': service,
            'interface': interface,
            'url': entry.url,
            'region_id': keystone.REGION,
        }
        client.post('/endpoints', {'endpoint': endpoint})


def _id(resource: Mapping[str, str]) -> str:
    return resource['id']
