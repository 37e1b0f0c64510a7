"""What a user and Nova ask of Cinder."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import time
from typing import Any

from tools.lab import rest

WAIT_S = 120.0


class CloudError(Exception):
    """Cinder did not do as was asked; the message says what it did."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One attachment, as Nova keeps it."""

    attachment_id: str
    volume_id: str
    answer: Mapping[str, Any]
    """What Cinder said of it."""


class Cloud:
    """Cinder's public API.

    :param nova: the same, as Nova asks it, on behalf of a user.
    """

    def __init__(self, user: rest.Rest, nova: rest.Rest) -> None:
        self._user = user
        self._nova = nova

    def create(self, name: str, **wanted: Any) -> str:
        """Have a volume made, of 1 GiB if nothing else is said."""
        body = {'volume': {'size': 1, 'name': name, **wanted}}
        volume_id = str(self._user.post('/volumes', body)['volume']['id'])
        self.wait_volume(volume_id, 'available')
        return volume_id

    def show(self, volume_id: str) -> Mapping[str, Any]:
        """Return a volume."""
        found: Mapping[str, Any] = self._user.get(f'/volumes/{volume_id}')
        return found['volume']

    def wait_volume(self, volume_id: str, *statuses: str) -> str:
        """Wait for a volume to have one of these; return which.

        :raises CloudError: it has not.
        """
        return _wait(
            f'volume {volume_id}',
            lambda: str(self.show(volume_id)['status']),
            statuses,
        )

    def delete(self, volume_id: str) -> None:
        """Have a volume deleted, and wait until it is gone."""
        self._user.delete(f'/volumes/{volume_id}')
        _wait(
            f'volume {volume_id}',
            lambda: self._status(f'/volumes/{volume_id}', 'volume'),
            ('gone',),
        )

    def refuses_to_delete(self, volume_id: str) -> str:
        """Ask for what must be refused; return what was said.

        :raises CloudError: it was accepted.
        """
        return self._refused('DELETE', f'/volumes/{volume_id}', None)

    def extend(self, volume_id: str, size_gib: int) -> None:
        """Ask for a volume to grow; return at once."""
        self._act(volume_id, 'os-extend', new_size=size_gib)

    def set_status(self, volume_id: str, status: str) -> None:
        """Set a status by hand, as an administrator."""
        self._act(volume_id, 'os-reset_status', status=status)

    def revert(self, volume_id: str, snapshot_id: str) -> None:
        """Have a volume read as its snapshot; return when it does."""
        self._act(volume_id, 'revert', snapshot_id=snapshot_id)
        self.wait_volume(volume_id, 'available')

    def snapshot(self, volume_id: str, name: str) -> str:
        """Take a snapshot, of a volume in use too."""
        # Since 3.66 none has to be forced.
        body = {'snapshot': {'volume_id': volume_id, 'name': name}}
        snapshot_id = str(
            self._user.post('/snapshots', body)['snapshot']['id']
        )
        self._wait_snapshot(snapshot_id, 'available')
        return snapshot_id

    def delete_snapshot(self, snapshot_id: str) -> None:
        """Have a snapshot deleted, and wait until it is gone."""
        self._user.delete(f'/snapshots/{snapshot_id}')
        self._wait_snapshot(snapshot_id, 'gone')

    def make_type(self, name: str, extra_specs: Mapping[str, str]) -> None:
        """Make a volume type."""
        body = {'volume_type': {'name': name, 'extra_specs': extra_specs}}
        self._user.post('/types', body)

    def messages(self, volume_id: str) -> list[str]:
        """Return what Cinder tells the user of a volume."""
        found = self._user.get(f'/messages?resource_uuid={volume_id}')
        return [str(one['user_message']) for one in found['messages']]

    def attach(
        self,
        volume_id: str,
        server_id: str,
        connector: Mapping[str, Any],
        *,
        mode: str | None = None,
    ) -> Attachment:
        """Do what Nova does before it attaches a volume to a server."""
        made = self._nova.post(
            '/attachments', _wanted(volume_id, server_id, mode)
        )['attachment']
        path = f'/attachments/{made["id"]}'
        body = {'attachment': {'connector': dict(connector)}}
        return Attachment(
            attachment_id=made['id'],
            volume_id=volume_id,
            answer=self._nova.put(path, body)['attachment'],
        )

    def complete(self, attachment: Attachment) -> None:
        """Do what Nova does when a volume is attached."""
        self._nova.post(
            f'/attachments/{attachment.attachment_id}/action',
            {'os-complete': {}},
        )
        self.wait_volume(attachment.volume_id, 'in-use')

    def detach(self, attachment: Attachment) -> None:
        """Do what Nova does when a volume is detached."""
        self._nova.delete(f'/attachments/{attachment.attachment_id}')

    def refuses_to_attach(self, volume_id: str, server_id: str) -> str:
        """Ask for what must be refused; return what was said.

        :raises CloudError: it was accepted.
        """
        body = _wanted(volume_id, server_id, None)
        return self._refused('POST', '/attachments', body)

    def set_readonly(self, volume_id: str) -> None:
        """Have a volume attached for reading only, from now on."""
        self._act(volume_id, 'os-update_readonly_flag', readonly=True)

    def _refused(self, method: str, path: str, body: Any) -> str:
        answer = self._user.ask(method, path, body)
        if answer.status < 400:
            raise CloudError(f'{method} {path} was not refused.')
        return ' '.join(
            str(one.get('message', one)) for one in answer.body.values()
        )

    def _wait_snapshot(self, snapshot_id: str, status: str) -> None:
        path = f'/snapshots/{snapshot_id}'
        _wait(
            f'snapshot {snapshot_id}',
            lambda: self._status(path, 'snapshot'),
            (status,),
        )

    def _status(self, path: str, kind: str) -> str:
        answer = self._user.ask('GET', path)
        if answer.status == 404:
            return 'gone'
        return str(answer.body[kind]['status'])

    def _act(self, volume_id: str, action: str, **arguments: Any) -> None:
        self._user.post(f'/volumes/{volume_id}/action', {action: arguments})


def _wanted(
    volume_id: str, server_id: str, mode: str | None
) -> Mapping[str, Any]:
    wanted = {'volume_uuid': volume_id, 'instance_uuid': server_id}
    return {'attachment': {**wanted, **({'mode': mode} if mode else {})}}


def _wait(what: str, ask: Callable[[], str], wanted: tuple[str, ...]) -> str:
    until = time.monotonic() + WAIT_S
    while True:
        status = ask()
        if status in wanted:
            return status
        if status.startswith('error') or time.monotonic() > until:
            raise CloudError(
                f'{what} is {status}, and not {" or ".join(wanted)}'
            )
        time.sleep(0.05)
