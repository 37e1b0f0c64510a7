"""What is said to tgtd, and what is made of what it says."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from pathlib import Path
import socket
import struct
import tempfile
import threading

from tests import base
from virtdc_agent import exceptions
from virtdc_agent.exporters.tgt_control import Session
from virtdc_agent.exporters.tgt_control import Unit
from virtdc_agent.exporters.tgt_socket import TgtSocket

# usr/tgtadm.h: mode, op, lld, len, tid, sid, lun, cid, host_no,
# device_type, ac_dir, pack, force.
REQUEST = struct.Struct('@II64sIiQQIIIIII')


class TestTgtSocket(base.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix='virtdc-')
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / 'socket.0')
        self.tgt = TgtSocket(self.path)
        self.heard: list[tuple[int, ...]] = []
        self.texts: list[bytes] = []

    @contextlib.contextmanager
    def answering(self, *answers: bytes | int | None) -> Iterator[None]:
        """Answer with a text, an error, or by hanging up."""
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(self.path)
        server.listen()

        def serve() -> None:
            for answer in answers:
                channel, _ = server.accept()
                with channel, channel.makefile('rb') as file:
                    if answer is None:
                        continue
                    fields = REQUEST.unpack(file.read(REQUEST.size))
                    self.heard.append((fields[0], fields[1], *fields[4:8]))
                    self.texts.append(file.read(fields[3] - REQUEST.size))
                    text = b'' if isinstance(answer, int) else answer
                    error = answer if isinstance(answer, int) else 0
                    channel.sendall(struct.pack('@II', error, 8 + len(text)))
                    with contextlib.suppress(BrokenPipeError):
                        # Of an error, nobody waits for more.
                        channel.sendall(text)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
            thread.join(10)
            self.assertFalse(thread.is_alive())
        finally:
            server.close()
            Path(self.path).unlink()

    def test_requests(self) -> None:
        session = Session(session_id=3, connection_id=1, initiator='iqn.x')
        unit = Unit(path='/v/1', serial='s', has_discard=True)
        for call, expected in (
            (
                lambda: self.tgt.add_target(7, 'iqn.y'),
                [((1, 0, 7, 0, 0, 0), b'targetname=iqn.y\0')],
            ),
            (
                lambda: self.tgt.remove_target(7),
                [((1, 1, 7, 0, 0, 0), b'')],
            ),
            (
                lambda: self.tgt.add_unit(7, unit),
                [
                    ((2, 0, 7, 0, 1, 0), b'path=/v/1,bstype=rdwr\0'),
                    (
                        (2, 5, 7, 0, 1, 0),
                        b'scsi_id=s,scsi_sn=s,thin_provisioning=1\0',
                    ),
                ],
            ),
            (
                lambda: self.tgt.add_account('a', 'b'),
                [((7, 0, 0, 0, 0, 0), b'user=a,password=b\0')],
            ),
            (
                lambda: self.tgt.remove_account('a'),
                [((7, 1, 0, 0, 0, 0), b'user=a\0')],
            ),
            (
                lambda: self.tgt.bind_account(7, 'a'),
                [((7, 3, 7, 0, 0, 0), b'user=a\0')],
            ),
            (
                lambda: self.tgt.unbind_account(7, 'a'),
                [((7, 4, 7, 0, 0, 0), b'user=a\0')],
            ),
            (
                lambda: self.tgt.admit(7, 'iqn.x'),
                [((1, 3, 7, 0, 0, 0), b'initiator-name=iqn.x\0')],
            ),
            (
                lambda: self.tgt.dismiss(7, 'iqn.x'),
                [((1, 4, 7, 0, 0, 0), b'initiator-name=iqn.x\0')],
            ),
            (
                lambda: self.tgt.close(7, session),
                [((6, 1, 7, 3, 0, 1), b'')],
            ),
        ):
            self.heard.clear()
            self.texts.clear()
            with self.subTest(expected[0]):
                with self.answering(*(b'' for _ in expected)):
                    call()
                self.assertEqual(
                    expected,
                    list(zip(self.heard, self.texts, strict=True)),
                )

    def test_answers(self) -> None:
        with self.answering(
            b'Portal: 127.0.0.1:3260,1\nPortal: [::1]:3260,1\n\0'
        ):
            self.assertEqual(
                ['127.0.0.1:3260', '[::1]:3260'], self.tgt.portals()
            )
        with self.answering(
            b'Target 1: iqn.a\n    System information:\nTarget 20: iqn.b\n\0'
        ):
            self.assertEqual({'iqn.a': 1, 'iqn.b': 20}, self.tgt.targets())
        with self.answering(b''):
            self.assertEqual({}, self.tgt.targets())
        with self.answering(
            b'Session: 5\n    Connection: 0\n        Initiator: iqn.x\n'
            b'        IP Address: 127.0.0.1\n\0'
        ):
            self.assertEqual(
                [Session(session_id=5, connection_id=0, initiator='iqn.x')],
                self.tgt.sessions(7),
            )
        self.assertEqual((6, 2, 7, 0, 0, 0), self.heard[-1])

    def test_targets_that_a_host_made_up_are_not_believed(self) -> None:
        for text in (
            b'Target 1: iqn.a\n alias: \nTarget 1: iqn.b\n',
            b'Target 1: iqn.a\n alias: \nTarget 2: iqn.a\n',
        ):
            with (
                self.answering(text),
                self.assertRaisesRegex(exceptions.BackendError, 'two'),
            ):
                self.tgt.targets()

    def test_what_is_so_already_is_fine(self) -> None:
        with self.answering(14, 14, 12, 13, 15, 15, 4, 4):
            self.tgt.add_account('a', 'b')
            self.tgt.bind_account(7, 'a')
            self.tgt.admit(7, 'iqn.x')
            self.tgt.dismiss(7, 'iqn.x')
            self.tgt.unbind_account(7, 'a')
            self.tgt.remove_account('a')
            self.tgt.remove_target(7)
            self.assertEqual([], self.tgt.sessions(7))

    def test_refusals(self) -> None:
        for error, kind, words in (
            (9, exceptions.BackendError, 'target_exists'),
            (19, exceptions.BackendBusy, 'still reads or writes'),
            (20, exceptions.BackendBusy, 'still reads or writes'),
            (99, exceptions.BackendError, 'error 99'),
        ):
            with (
                self.subTest(error),
                self.answering(error),
                self.assertRaisesRegex(kind, words),
            ):
                self.tgt.add_target(1, 'iqn.a')

    def test_nobody_there(self) -> None:
        with self.assertRaises(exceptions.BackendUnavailable):
            self.tgt.targets()
        # As to who is not its user.
        with (
            self.answering(None),
            self.assertRaises(exceptions.BackendUnavailable),
        ):
            self.tgt.targets()

    def test_one_field_cannot_be_two(self) -> None:
        for value in ('', 'a,user=b', 'a\nb', 'a\0b', 'x' * 9000):
            with (
                self.subTest(value[:10]),
                self.assertRaisesRegex(
                    exceptions.BackendError, 'cannot be told'
                ),
            ):
                self.tgt.add_account(value, 'secret')
