"""The parts of the guests' walk that need no guest."""

from __future__ import annotations

import hashlib
import http.client
import json
from pathlib import Path
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

from tests.acceptance.guest import console
from tests.acceptance.guest import domain
from tests.acceptance.guest import image
from tests.acceptance.guest import nova_events
from tests.acceptance.guest import pattern
from tests.acceptance.guest import report
from tests.acceptance.guest import writer
from tools.lab import ports


def shell(command: str) -> str:
    return subprocess.run(
        ['sh', '-c', command], check=True, capture_output=True, text=True
    ).stdout


class TestConsole(unittest.TestCase):
    def test_a_command_ends_when_its_mark_comes(self) -> None:
        received = 'some\r\noutput\r\n@@7 '
        self.assertIsNone(console.ended(received, '7'))
        self.assertIsNone(console.ended(received + '1', '7'))
        self.assertIsNone(console.ended(received + '1\n', '8'))
        self.assertEqual(
            console.Ended(1, 'some\noutput'),
            console.ended(received + '1\n', '7'),
        )

    def test_a_shell_understands_the_line(self) -> None:
        for command, status, output in (
            ('echo one; echo two', 0, 'one\ntwo'),
            ('( echo apart ) & wait', 0, 'apart'),
            ('(exit 3)', 3, ''),
        ):
            received = shell(console.line_of(command, 'm').decode())
            self.assertEqual(
                console.Ended(status, output), console.ended(received, 'm')
            )

    def test_a_command_is_one_line(self) -> None:
        with self.assertRaises(ValueError):
            console.line_of('one\ntwo', 'm')


class TestPattern(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / 'volume'
        with self.file.open('xb') as file:
            file.truncate(pattern.MIB)
        self.pattern = pattern.Pattern(
            text='some text', offset_bytes=200_704, size_bytes=300_000
        )

    def test_a_shell_writes_what_is_expected(self) -> None:
        self.assertFalse(self.pattern.is_in(self.file))
        shell(self.pattern.write_to(str(self.file)))
        self.assertTrue(self.pattern.is_in(self.file))
        content = self.file.read_bytes()
        self.assertEqual(pattern.MIB, len(content))
        self.assertEqual(bytes(200_704), content[:200_704])
        self.assertEqual(
            hashlib.sha256(content[200_704:500_704]).hexdigest(),
            self.pattern.checksum,
        )

    def test_a_shell_reads_the_checksum(self) -> None:
        shell(self.pattern.write_to(str(self.file)))
        command = self.pattern.checksum_of(str(self.file))
        _, _, read = command.partition(' && ')
        self.assertEqual(self.pattern.checksum, shell(read).split()[0])


class TestWriter(unittest.TestCase):
    def test_what_a_guest_tells(self) -> None:
        written = writer.read('0 0 10.00\n1 0 10.05\n2 1 12.25\n3 0 12.30\n')
        self.assertEqual(4, written.records)
        self.assertEqual((2,), written.failed)
        self.assertAlmostEqual(2.2, written.longest_s)
        self.assertEqual(0, writer.read('').records)

    def test_a_record_that_is_not_there_is_found(self) -> None:
        endless = writer.Writer(offset_bytes=1024)
        with tempfile.NamedTemporaryFile() as file:
            path = Path(file.name)
            records = [f'{number:<511}\n'.encode() for number in range(4)]
            path.write_bytes(bytes(1024) + b''.join(records))
            self.assertEqual([], endless.wrong(path, 4))
            records[2] = bytes(512)
            path.write_bytes(bytes(1024) + b''.join(records))
            self.assertEqual([2], endless.wrong(path, 4))
            # Not even all of them.
            self.assertEqual([2, 4], endless.wrong(path, 5))


class TestDomain(unittest.TestCase):
    def test_is_emulated_and_has_room_for_disks(self) -> None:
        tree = ElementTree.fromstring(
            domain.describe(
                domain.Guest(
                    name='<one>',
                    uuid='6b29fc40-ca47-1067-b31d-00dd010662da',
                    kernel=Path('/kernel'),
                    initrd=Path('/initrd'),
                    console=Path('/console'),
                    log=Path('/log'),
                )
            )
        )
        self.assertEqual('qemu', tree.get('type'))
        self.assertEqual('<one>', tree.findtext('name'))
        models = [one.get('model') for one in tree.iter('controller')]
        self.assertEqual(
            ['pcie-root', *['pcie-root-port'] * domain.PORTS], models
        )
        self.assertIsNone(tree.find('devices/interface'))
        self.assertIsNone(tree.find('devices/disk'))


class TestImage(unittest.TestCase):
    def test_the_kernel_is_what_the_meta_package_depends_on(self) -> None:
        self.assertEqual(
            'linux-image-6.1.0-56-cloud-amd64',
            image.package_of(
                'linux-image-cloud-amd64\n'
                '  Depends: linux-image-6.1.0-56-cloud-amd64\n'
            ),
        )

    def test_without_one_it_is_said_why(self) -> None:
        with self.assertRaisesRegex(image.NoImage, 'only Debian'):
            image.package_of('')


class TestReport(unittest.TestCase):
    def test_tells_every_step_and_goes_on_failing(self) -> None:
        lines: list[str] = []
        times = iter(range(100))
        told = report.Report(
            'Exporter x', lines.append, clock=lambda: float(next(times))
        )
        with told.step('one'):
            told.note('a figure')
        with self.assertRaisesRegex(ValueError, 'bad'), told.step('two'):
            raise ValueError('bad')
        told.end()
        self.assertEqual((1, 1), (told.passed, told.failed))
        self.assertEqual(
            [
                '\nExporter x',
                '  ok       1.00 s  one',
                '                    a figure',
                '  FAILED   1.00 s  two',
                '            ValueError: bad',
                'Exporter x: 1 steps passed, 1 failed, 5 s',
            ],
            lines,
        )


class TestNovaEvents(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        free = ports.Ports()
        self.addCleanup(free.release)
        self.port = free.take()
        self.extended: list[tuple[str, str]] = []
        events = nova_events.NovaEvents(
            self.port, lambda *what: self.extended.append(what)
        )
        events.start()
        self.addCleanup(events.close)

    def post(self, path: str, body: object) -> tuple[int, object]:
        client = http.client.HTTPConnection('127.0.0.1', self.port)
        self.addCleanup(client.close)
        client.request('POST', path, json.dumps(body))
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())

    def test_is_told_of_volumes_that_have_grown(self) -> None:
        event = {
            'name': 'volume-extended',
            'server_uuid': 'a server',
            'tag': 'a volume',
        }
        other = {**event, 'name': 'network-changed'}
        status, answer = self.post(
            '/os-server-external-events', {'events': [event, other]}
        )
        self.assertEqual(200, status)
        self.assertEqual(
            {
                'events': [
                    {**event, 'code': 200, 'status': 'completed'},
                    {**other, 'code': 200, 'status': 'completed'},
                ]
            },
            answer,
        )
        self.assertEqual([('a server', 'a volume')], self.extended)

    def test_there_is_nothing_else(self) -> None:
        status, _ = self.post('/servers', {})
        self.assertEqual(404, status)
        self.assertEqual([], self.extended)
