"""Volumes are iSCSI targets of a tgtd on this machine.

Each volume that some host uses has a target of its own, with one unit: the
volume's file. A host is let in by the iSCSI name it calls itself by, and by a
secret that is for it and this volume alone. tgtd keeps nothing: it is brought
in line with our records, see ``attachments``, by steps that may be repeated.

What opens goes from the inside to the outside: accounts, unit, and the host's
name last, so that nobody is ever let in without a secret. What closes goes
the other way: the name, the account, what is open, and the target when nobody
is left. See ``tgt_control`` for why accounts are unbound from the end.

One agent has the tgtd to itself, and no other agent shares its journal: what
another disconnects, it would not hear of.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import hashlib
import logging
import os
import re
import secrets
import threading
from typing import Self

from oslo_config import cfg

from virtdc_agent.contract import events
from virtdc_agent import exceptions
from virtdc_agent.exporters.attachments import Attachment
from virtdc_agent.exporters.attachments import Export
from virtdc_agent.exporters.attachments import Exports
from virtdc_agent.exporters.chap import Secrets
from virtdc_agent.exporters.tgt_control import TargetControl
from virtdc_agent.exporters.tgt_control import Unit
from virtdc_agent.exporters.tgt_socket import TgtSocket
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)

_UNIT = 1
_KEEPER = 'virtdc-keeper'
"""The first account of every row, whose secret nobody knows.

With it a target never has no account at all, also while hosts come and go.
"""
_MOST_NUMBER = 2**31 - 1
_CLOSE_S = 5.0
_PAUSE_S = 0.05
_PREFIX = re.compile(r'iqn\.\d{4}-\d{2}\.[a-z0-9.-]+(?::[a-z0-9.:-]+)?')
_MAX_PREFIX = 80
_PORTAL = re.compile(r'(?:\[[0-9a-f:]+\]|[0-9.]+):\d{1,5}')
_ANY_ADDRESS = ('0.0.0.0:', '[::]:')
_INITIATOR = re.compile(r'(?:iqn|eui|naa)\.[A-Za-z0-9.:_-]{1,219}')
_PLAIN_ID = re.compile(r'[a-z0-9.-]+')


class IscsiTgtExporter(interfaces.Exporter):
    """Makes targets; see the interface for the promises.

    :param control: the daemon.
    :param state_path: an existing folder; the key and the records are in it.
    :param portals: the addresses that hosts are told; all that the daemon
        listens on, and no others.
    :param prefix: what the names of targets begin with.
    :param number: returns numbers of new targets. Random ones, since a login
        that a host holds up half-way is finished at whatever target has the
        number then.
    """

    storage_protocol = 'iSCSI'
    # tgtd reads a file's size once.
    can_grow_in_use = False

    def __init__(
        self,
        control: TargetControl,
        *,
        state_path: str,
        portals: Sequence[str],
        prefix: str,
        clock: interfaces.Clock,
        locate: interfaces.Locate,
        number: Callable[[], int] = lambda: (
            1 + secrets.randbelow(_MOST_NUMBER)
        ),
    ) -> None:
        self._control = control
        self._state_path = state_path
        self._portals = portals
        self._prefix = prefix
        self._clock = clock
        self._locate = locate
        self._number = number
        self._secrets = Secrets(b'')
        self._exports = Exports(os.path.join(state_path, 'exporter-iscsi-tgt'))
        self._settled: set[str] = set()
        """Volumes whose target is as their record says, if it is there."""
        self._lock = threading.Lock()
        self._pause = threading.Condition()

    @classmethod
    def from_config(
        cls,
        conf: cfg.ConfigOpts,
        *,
        clock: interfaces.Clock,
        locate: interfaces.Locate,
    ) -> Self:
        """Return an exporter as ``[exporter_iscsi_tgt]`` says."""
        options = conf.exporter_iscsi_tgt
        return cls(
            TgtSocket(options.control_socket),
            state_path=conf.state_path,
            portals=options.portals,
            prefix=options.target_prefix,
            clock=clock,
            locate=locate,
        )

    def start(self) -> None:
        """See the interface. Makes the key and the folder of records, once.

        :raises BackendUnavailable: tgtd does not run yet.
        """
        self._check_options()
        self._check_daemon()
        with self._lock:
            try:
                self._secrets = Secrets.open(
                    os.path.join(self._state_path, 'iscsi-tgt.key')
                )
                self._exports.load()
            except OSError as exc:
                raise exceptions.ConfigInvalid(
                    f'[DEFAULT] state_path = {self._state_path} cannot be '
                    f'used: {exc.strerror}. The agent must be able to read '
                    'and write files there.'
                ) from exc
            self._settled.clear()

    def resume(self, volumes: Iterable[events.Volume]) -> None:
        """See the interface."""
        attached = {
            volume.volume_id: frozenset(volume.attached_to)
            for volume in volumes
        }
        with self._lock:
            for volume_id, hosts in attached.items():
                self._report_unknown(volume_id, hosts)
            for export in self._exports.all():
                with self._reported(export.volume_id):
                    self._resume(
                        export, attached.get(export.volume_id, frozenset())
                    )
            with self._reported('without a record'):
                self._remove_strays()

    def connect(
        self, volume: events.Volume, parameters: events.ConnectParameters
    ) -> None:
        """See the interface."""
        volume_id, host = volume.volume_id, parameters.host
        initiator = _initiator_of(volume_id, parameters)
        if volume.format is not events.Format.RAW:
            raise exceptions.EventRejected(
                f'Volume {volume_id} is a {volume.format} image, and raw '
                'volumes alone are served over iSCSI: make a raw volume, and '
                'copy its content there.'
            )
        if self._locate(volume_id) is None:
            raise exceptions.EventRejected(
                f"This data centre's storage has no file of volume "
                f'{volume_id} that could be served over iSCSI.'
            )
        with self._lock:
            export = self._exports.get(volume_id) or Export(
                volume_id=volume_id,
                has_discard=volume.provisioning is events.Provisioning.THIN,
            )
            for other in export.staying:
                if other.initiator == initiator and other.host != host:
                    raise exceptions.EventRejected(
                        f'Host {host} calls itself {initiator} over iSCSI, '
                        f'and so does {other.host}, which uses volume '
                        f'{volume_id}: give each host a name of its own.'
                    )
            wanted = Attachment(
                host=host,
                initiator=initiator,
                account=self._secrets.of(volume_id, host).account,
            )
            present = export.get(host)
            if present != wanted:
                # Whom it was known as before, it is not any more.
                self._leave(export, host)
                export = self._exports.get(volume_id) or export
                others = tuple(
                    one for one in export.attachments if one.host != host
                )
                self._put(
                    dataclasses.replace(export, attachments=(*others, wanted))
                )
            # Asked for again, it is looked at again.
            self._settled.discard(volume_id)
            try:
                self._make_good(volume_id)
            except exceptions.AgentError:
                if present is None:
                    # It is not attached, then; if this fails too, it is
                    # shut out as soon as the daemon answers again.
                    with contextlib.suppress(exceptions.AgentError):
                        self._leave(self._exports.get(volume_id), host)
                raise

    def disconnect(self, volume: events.Volume, host: str) -> None:
        """See the interface.

        :raises BackendBusy: it reads or writes, and does not end.
        """
        with self._lock:
            self._leave(self._exports.get(volume.volume_id), host)

    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        """See the interface. Holds the host's secret.

        :raises EventRejected: this agent has not connected it.
        """
        volume_id = volume.volume_id
        with self._lock:
            export = self._exports.get(volume_id)
            if export is None or export.get(host) is None:
                raise exceptions.EventRejected(
                    f'Volume {volume_id} has no iSCSI target for {host}: '
                    'detach it and attach it again.'
                )
            self._make_good(volume_id)
            credentials = self._secrets.of(volume_id, host)
        name = self._target_name(volume_id)
        data: dict[str, object] = {
            'target_discovered': False,
            'target_portal': self._portals[0],
            'target_iqn': name,
            'target_lun': _UNIT,
            'volume_id': volume_id,
            'auth_method': 'CHAP',
            'auth_username': credentials.account,
            'auth_password': credentials.secret,
            'discard': export.has_discard,
        }
        if len(self._portals) > 1:
            data['target_portals'] = list(self._portals)
            data['target_iqns'] = [name] * len(self._portals)
            data['target_luns'] = [_UNIT] * len(self._portals)
        return {'driver_volume_type': 'iscsi', 'data': data}

    def _check_options(self) -> None:
        if (
            not _PREFIX.fullmatch(self._prefix)
            or len(self._prefix) > _MAX_PREFIX
        ):
            raise exceptions.ConfigInvalid(
                f'[exporter_iscsi_tgt] target_prefix = {self._prefix} does '
                'not begin an iSCSI name: give it as '
                'iqn.<year>-<month>.<domain, reversed>:<text>, in at most '
                f'{_MAX_PREFIX} small letters, digits, dots, dashes and '
                'colons.'
            )
        for portal in self._portals:
            if not _PORTAL.fullmatch(portal) or portal.startswith(
                _ANY_ADDRESS
            ):
                raise exceptions.ConfigInvalid(
                    f'[exporter_iscsi_tgt] portals has {portal!r}, to which '
                    'no host can connect: give addresses with ports, as '
                    '192.0.2.1:3260 or [2001:db8::1]:3260.'
                )
        if not self._portals:
            raise exceptions.ConfigInvalid(
                '[exporter_iscsi_tgt] portals is empty: give the addresses '
                'that tgtd listens on, as 192.0.2.1:3260.'
            )

    def _check_daemon(self) -> None:
        how = 'tgtd ' + ' '.join(
            f'--iscsi portal={portal}' for portal in self._portals
        )
        try:
            listens = self._control.portals()
        except exceptions.BackendUnavailable as exc:
            raise exceptions.BackendUnavailable(
                'No tgtd answers at [exporter_iscsi_tgt] control_socket. '
                "Install the package tgt, start it as the agent's own user "
                f'and group, as {how}, and then start the agent.'
            ) from exc
        if set(listens) != set(self._portals):
            raise exceptions.ConfigInvalid(
                '[exporter_iscsi_tgt] portals = '
                f'{",".join(self._portals)}, but tgtd listens on '
                f'{", ".join(listens) or "nothing"}: start it as {how}, or '
                'change the option.'
            )

    def _report_unknown(self, volume_id: str, hosts: frozenset[str]) -> None:
        export = self._exports.get(volume_id)
        known = {one.host for one in export.attachments} if export else set()
        for host in sorted(hosts - known):
            LOG.error(
                'Volume %s is attached to %s, but there is no record of how: '
                'detach it and attach it again.',
                volume_id,
                host,
            )

    def _resume(self, export: Export, hosts: frozenset[str]) -> None:
        """Have a volume's record and target agree with the journal.

        Who was to leave and yet is attached comes in anew, at the end of
        the row, and so does whose account is another with another key.
        """
        wanted = [
            Attachment(
                host=one.host,
                initiator=one.initiator,
                account=self._secrets.of(export.volume_id, one.host).account,
            )
            for one in export.attachments
            if one.host in hosts
        ]
        kept = tuple(one for one in export.attachments if one in wanted)
        if kept != export.attachments:
            self._put(
                dataclasses.replace(
                    export,
                    attachments=tuple(
                        dataclasses.replace(one, is_leaving=one not in kept)
                        for one in export.attachments
                    ),
                )
            )
            self._settle(export.volume_id)
        if wanted:
            anew = tuple(one for one in wanted if one not in kept)
            self._put(dataclasses.replace(export, attachments=kept + anew))
            self._settle(export.volume_id)

    def _remove_strays(self) -> None:
        """Remove targets of ours that are in no record."""
        known = {
            self._target_name(export.volume_id)
            for export in self._exports.all()
        }
        for name, number in self._control.targets().items():
            if name.startswith(self._prefix + ':') and name not in known:
                LOG.warning('Target %s is in no record: removing it.', name)
                self._close(number, None)
                self._control.remove_target(number)

    def _leave(self, export: Export | None, host: str) -> None:
        """Shut a host out, if it was let in."""
        if export is None:
            return
        attachments = tuple(
            dataclasses.replace(
                one, is_leaving=one.is_leaving or one.host == host
            )
            for one in export.attachments
        )
        if any(one.is_leaving for one in attachments):
            self._put(dataclasses.replace(export, attachments=attachments))
            self._settle(export.volume_id)

    def _make_good(self, volume_id: str) -> None:
        """Bring a volume's target in line, and what tgtd may have lost.

        A target that is not there says that tgtd was restarted: hosts that
        have others of them open wait for those as well.
        """
        there = self._control.targets()
        for export in self._exports.all():
            if export.volume_id != volume_id and not self._is_good(
                export, there
            ):
                with self._reported(export.volume_id):
                    self._settle(export.volume_id)
        export_wanted = self._exports.get(volume_id)
        if export_wanted and not self._is_good(export_wanted, there):
            self._settle(volume_id)

    def _is_good(self, export: Export, there: Mapping[str, int]) -> bool:
        return (
            export.volume_id in self._settled
            and self._target_name(export.volume_id) in there
        )

    def _settle(self, volume_id: str) -> None:
        """Bring a volume's target in line with its record.

        :raises AgentError: it is so in part; to be repeated.
        """
        export = self._exports.get(volume_id)
        if export is None:
            return
        self._settled.discard(volume_id)
        name = self._target_name(volume_id)
        number = self._control.targets().get(name)
        if export.leaving:
            if number is not None:
                self._shut_out(number, export)
            for one in export.leaving:
                self._control.remove_account(one.account)
            if not export.staying and number is not None:
                self._close(number, None)
                self._control.remove_target(number)
        if export.staying:
            if number is None:
                number = self._number()
                self._control.add_target(number, name)
            self._let_in(number, export)
        self._put(dataclasses.replace(export, attachments=export.staying))
        if export.staying:
            self._settled.add(volume_id)

    def _shut_out(self, number: int, export: Export) -> None:
        """Have those who leave neither come in nor stay in.

        Those behind them in the row are bound again by ``_let_in``.
        """
        for one in export.leaving:
            self._control.dismiss(number, one.initiator)
        first = export.attachments.index(export.leaving[0])
        for one in reversed(export.attachments[first:]):
            self._control.unbind_account(number, one.account)
        if export.staying:
            # Before the sessions, whose end may take a while.
            self._bind(number, export)
        staying = {one.initiator for one in export.staying}
        self._close(
            number,
            {one.initiator for one in export.leaving} - staying,
        )

    def _let_in(self, number: int, export: Export) -> None:
        path = self._locate(export.volume_id)
        if path is None:
            raise exceptions.BackendError(
                f'Volume {export.volume_id} is attached, but the storage has '
                'no file of it; its operator has to look at it.'
            )
        self._bind(number, export)
        digest = hashlib.sha256(export.volume_id.encode()).hexdigest()
        self._control.add_unit(
            number,
            Unit(
                path=path, serial=digest[:32], has_discard=export.has_discard
            ),
        )
        for one in export.staying:
            self._control.admit(number, one.initiator)

    def _bind(self, number: int, export: Export) -> None:
        self._control.add_account(_KEEPER, secrets.token_urlsafe(12))
        self._control.bind_account(number, _KEEPER)
        for one in export.staying:
            credentials = self._secrets.of(export.volume_id, one.host)
            self._control.add_account(one.account, credentials.secret)
            self._control.bind_account(number, one.account)

    def _close(self, number: int, initiators: set[str] | None) -> None:
        """End the sessions of these, or all, and wait for it.

        :raises BackendBusy: they do not end.
        """
        until = self._clock.monotonic() + _CLOSE_S
        asked: set[int] = set()
        while True:
            sessions = [
                session
                for session in self._control.sessions(number)
                if initiators is None or session.initiator in initiators
            ]
            if not sessions:
                return
            if self._clock.monotonic() >= until:
                raise exceptions.BackendBusy(
                    'A host still reads or writes over iSCSI; try again later.'
                )
            fresh = {one.session_id for one in sessions} - asked
            for session in sessions:
                self._control.close(number, session)
            asked |= fresh
            if not fresh:
                with self._pause:
                    self._clock.wait(self._pause, _PAUSE_S)

    def _put(self, export: Export) -> None:
        try:
            self._exports.put(export)
        except OSError as exc:
            raise exceptions.BackendUnavailable(
                f'Who may reach volume {export.volume_id} cannot be '
                "recorded; the data centre's operator has to look at it."
            ) from exc

    @contextlib.contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        """Go on if something cannot be made good now."""
        try:
            yield
        except exceptions.AgentError as exc:
            LOG.error(
                'The iSCSI target of volume %s is not as it should be, and '
                'will be tried again with the next request: %s',
                what,
                exc,
            )

    def _target_name(self, volume_id: str) -> str:
        """Return the iSCSI name of a volume's target; no two are the same.

        An iSCSI name has small letters, and no underscore.
        """
        if _PLAIN_ID.fullmatch(volume_id):
            return f'{self._prefix}:{volume_id}'
        return f'{self._prefix}:hex:{volume_id.encode().hex()}'


def _initiator_of(volume_id: str, parameters: events.ConnectParameters) -> str:
    if not parameters.host.strip():
        raise exceptions.EventRejected(
            f'Volume {volume_id} cannot be connected to a host without a '
            'name: give its connector a host.'
        )
    initiator = parameters.connector.get('initiator')
    if not isinstance(initiator, str) or not _INITIATOR.fullmatch(initiator):
        raise exceptions.EventRejected(
            f'Host {parameters.host} does not say what it calls itself over '
            f'iSCSI, so that volume {volume_id} cannot be connected to it: '
            "its connector needs an initiator, as that host's "
            '/etc/iscsi/initiatorname.iscsi has it.'
        )
    return initiator
