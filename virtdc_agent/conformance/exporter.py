"""What every exporter must hold; for the test suite of any exporter.

An exporter's test is a subclass with ``make_exporter``::

    class TestMine(exporter.ExporterRules):
        def make_exporter(self):
            return MyExporter(...)
"""

from __future__ import annotations

from concurrent import futures
import dataclasses
import datetime
import json
import unittest

from virtdc_agent.contract.events import ConnectParameters
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.events import Volume
from virtdc_agent import exceptions
from virtdc_agent import interfaces

_NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
FIRST = Volume(
    volume_id='first',
    size_bytes=1024**3,
    format=Format.RAW,
    provisioning=Provisioning.THIN,
    created_at=_NOW,
    updated_at=_NOW,
)
SECOND = dataclasses.replace(FIRST, volume_id='second')


class ExporterRules(unittest.TestCase):
    """The rules. Not run by itself: ``make_exporter`` is for subclasses."""

    first = FIRST
    second = SECOND
    """Two volumes that the exporter can export."""

    def make_exporter(self) -> interfaces.Exporter:
        """Return a new exporter that can be started."""
        raise unittest.SkipTest('the rules are run by subclasses')

    def make_parameters(self, host: str) -> ConnectParameters:
        """Return what a host says that has all this protocol needs."""
        return ConnectParameters(host=host)

    def restart(self, exporter: interfaces.Exporter) -> interfaces.Exporter:
        """Return an exporter as after a restart of all; it is not started.

        Of the agent, and of whatever else exports: what either had in its
        memory is lost.
        """
        return self.make_exporter()

    def reaches(
        self, exporter: interfaces.Exporter, volume: Volume, host: str
    ) -> bool | None:
        """Say whether a host reaches a volume, by trying.

        ``None``: nothing hinders it, connected or not.
        """
        return None

    def start(self) -> interfaces.Exporter:
        """Return an exporter that is ready."""
        exporter = self.make_exporter()
        exporter.start()
        return exporter

    def connect(
        self, exporter: interfaces.Exporter, volume: Volume, host: str
    ) -> None:
        """Let a host reach a volume."""
        exporter.connect(volume, self.make_parameters(host))

    def test_names_its_protocol(self) -> None:
        """Cinder reports the protocol; it must have a name."""
        protocol = self.start().storage_protocol
        self.assertIsInstance(protocol, str)
        self.assertTrue(protocol)

    def test_says_whether_volumes_grow_in_use(self) -> None:
        """The agent must know; there is nothing between yes and no."""
        self.assertIsInstance(self.start().can_grow_in_use, bool)

    def test_start_can_be_repeated(self) -> None:
        """What was exported stays so when the exporter starts again."""
        exporter = self.start()
        self.connect(exporter, self.first, 'one')
        before = exporter.connection(self.first, 'one')
        exporter.start()
        self.assertEqual(before, exporter.connection(self.first, 'one'))

    def test_connection_has_the_form_that_hosts_take(self) -> None:
        """A type and data, as plain JSON with string keys."""
        exporter = self.start()
        self.connect(exporter, self.first, 'one')
        connection = exporter.connection(self.first, 'one')
        self.assertEqual(connection, json.loads(json.dumps(dict(connection))))
        self.assertIsInstance(connection.get('driver_volume_type'), str)
        self.assertIsInstance(connection.get('data'), dict)

    def test_connection_tells_volumes_apart(self) -> None:
        """No two volumes are reached in the same way."""
        exporter = self.start()
        self.connect(exporter, self.first, 'one')
        self.connect(exporter, self.second, 'one')
        self.assertNotEqual(
            exporter.connection(self.first, 'one'),
            exporter.connection(self.second, 'one'),
        )

    def test_connection_is_the_callers_own(self) -> None:
        """What a caller does to the answer changes no later answer."""
        exporter = self.start()
        self.connect(exporter, self.first, 'one')
        before = json.dumps(dict(exporter.connection(self.first, 'one')))
        data = exporter.connection(self.first, 'one')['data']
        if isinstance(data, dict):
            data.clear()
        after = json.dumps(dict(exporter.connection(self.first, 'one')))
        self.assertEqual(before, after)

    def test_connect_again_changes_nothing(self) -> None:
        """The same host may be connected any number of times."""
        exporter = self.start()
        self.connect(exporter, self.first, 'one')
        before = exporter.connection(self.first, 'one')
        self.connect(exporter, self.first, 'one')
        self.assertEqual(before, exporter.connection(self.first, 'one'))

    def test_connect_of_another_host_leaves_the_first(self) -> None:
        """A second host, come and gone, does not disturb the first."""
        exporter = self.start()
        self.connect(exporter, self.first, 'one')
        before = exporter.connection(self.first, 'one')
        self.connect(exporter, self.first, 'two')
        self.assertEqual(before, exporter.connection(self.first, 'one'))
        exporter.disconnect(self.first, 'two')
        self.assertEqual(before, exporter.connection(self.first, 'one'))

    def test_connect_refuses_a_host_without_a_name(self) -> None:
        """The host is the key of the attachment."""
        exporter = self.start()
        for host in ('', ' '):
            with self.assertRaises(exceptions.EventRejected):
                exporter.connect(self.first, ConnectParameters(host=host))

    def test_disconnect_of_nobody_is_fine(self) -> None:
        """A host that could not reach the volume, once or twice."""
        exporter = self.start()
        exporter.disconnect(self.first, 'never')
        self.connect(exporter, self.first, 'one')
        for _ in range(2):
            exporter.disconnect(self.first, 'one')

    def test_connect_after_disconnect(self) -> None:
        """A host that comes back is served as before."""
        exporter = self.start()
        self.connect(exporter, self.first, 'one')
        before = exporter.connection(self.first, 'one')
        exporter.disconnect(self.first, 'one')
        self.connect(exporter, self.first, 'one')
        self.assertEqual(before, exporter.connection(self.first, 'one'))

    def test_only_the_connected_reach_a_volume(self) -> None:
        """From connect to disconnect, that host and that volume alone."""
        exporter = self.start()
        self.connect(exporter, self.second, 'two')
        self._assert_reach(exporter, self.first, 'one', False)
        self.connect(exporter, self.first, 'one')
        self._assert_reach(exporter, self.first, 'one', True)
        self._assert_reach(exporter, self.first, 'two', False)
        self.connect(exporter, self.first, 'two')
        exporter.disconnect(self.first, 'one')
        self._assert_reach(exporter, self.first, 'one', False)
        self._assert_reach(exporter, self.first, 'two', True)
        self._assert_reach(exporter, self.second, 'two', True)
        exporter.disconnect(self.first, 'two')
        self._assert_reach(exporter, self.first, 'two', False)

    def test_resume_after_nothing_was_lost(self) -> None:
        """Who is connected is left alone."""
        exporter = self.start()
        self.connect(exporter, self.first, 'one')
        before = exporter.connection(self.first, 'one')
        exporter.resume([_attached(self.first, 'one')])
        self.assertEqual(before, exporter.connection(self.first, 'one'))
        self._assert_reach(exporter, self.first, 'one', True)

    def test_resume_after_a_restart(self) -> None:
        """Hosts reach their volumes as before, in the way they know."""
        exporter = self.start()
        for host in ('one', 'two'):
            self.connect(exporter, self.first, host)
        before = [
            exporter.connection(self.first, host) for host in ('one', 'two')
        ]
        exporter = self.restart(exporter)
        exporter.start()
        exporter.resume([_attached(self.first, 'one', 'two')])
        # Without asking, as a host does that had it open.
        for host in ('one', 'two'):
            self._assert_reach(exporter, self.first, host, True)
        self.assertEqual(
            before,
            [exporter.connection(self.first, host) for host in ('one', 'two')],
        )

    def test_resume_lets_nobody_else_in(self) -> None:
        """Whose attachment is in no record does not stay connected."""
        exporter = self.start()
        for volume in (self.first, self.second):
            for host in ('one', 'two'):
                self.connect(exporter, volume, host)
        exporter.resume([_attached(self.first, 'one')])
        self._assert_reach(exporter, self.first, 'one', True)
        self._assert_reach(exporter, self.first, 'two', False)
        self._assert_reach(exporter, self.second, 'one', False)

    def test_resume_goes_on_without_what_is_lost(self) -> None:
        """A volume of which nothing is known holds up no other."""
        exporter = self.start()
        self.connect(exporter, self.first, 'one')
        exporter = self.restart(exporter)
        exporter.start()
        exporter.resume(
            [_attached(self.second, 'gone'), _attached(self.first, 'one')]
        )
        self._assert_reach(exporter, self.first, 'one', True)

    def test_connects_at_once(self) -> None:
        """Many hosts and volumes at the same time, each with its own."""
        exporter = self.start()
        volumes = [
            dataclasses.replace(self.first, volume_id=f'many-{number}')
            for number in range(16)
        ]

        def use(volume: Volume) -> str:
            for host in ('one', 'two'):
                self.connect(exporter, volume, host)
            exporter.disconnect(volume, 'two')
            return json.dumps(dict(exporter.connection(volume, 'one')))

        with futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(use, volumes))
        self.assertEqual(len(volumes), len(set(answers)))

    def _assert_reach(
        self,
        exporter: interfaces.Exporter,
        volume: Volume,
        host: str,
        expected: bool,
    ) -> None:
        reaches = self.reaches(exporter, volume, host)
        if reaches is not None:
            self.assertEqual(expected, reaches, (volume.volume_id, host))


def _attached(volume: Volume, *hosts: str) -> Volume:
    return dataclasses.replace(volume, attached_to=hosts)
