"""Every command in the documents is one that there is."""

from __future__ import annotations

from pathlib import Path
import unittest

from tests.unit import command_lines

ROOT = Path(__file__).parents[2]


def lines_of(text: str) -> list[str]:
    return [one.text for one in command_lines.find('page', text)]


class TestDocuments(unittest.TestCase):
    def test_parsers_take_every_command(self) -> None:
        found = dict.fromkeys(command_lines.PROGRAMS, 0)
        for page, text in command_lines.pages(ROOT):
            for line in command_lines.find(page, text):
                found[line.text.split()[0]] += 1
                with self.subTest(page=page, line=line.text):
                    command_lines.check(line)
        # That the search finds none must not pass for all being well.
        for program, count in found.items():
            self.assertGreater(count, 0, program)
        self.assertGreater(sum(found.values()), 100)


class TestFinding(unittest.TestCase):
    def test_in_literal_blocks(self) -> None:
        text = """
Say::

    # virtdc-manage volume list   # all of them
    virtdc-manage volume list
    $ sudo -u virtdc /opt/bin/virtdc-manage db sync > file
    $ openstack volume create \\
        --size 1 first

virtdc-manage is no command here.

.. code-block:: console

   $ alias dc="virtdc-manage --config-file X"
   $ dc volume list
   Some virtdc-manage output
"""
        self.assertEqual(
            [
                'virtdc-manage volume list',
                'virtdc-manage volume list',
                'virtdc-manage db sync',
                'openstack volume create          --size 1 first',
                'virtdc-manage --config-file X volume list',
            ],
            lines_of(text),
        )

    def test_in_sentences(self) -> None:
        self.assertEqual(
            ['openstack virtdc alarm'],
            lines_of('Use ``openstack\nvirtdc alarm``, or ``openstack``.'),
        )


class TestChecking(unittest.TestCase):
    def check(self, text: str, *, whole: bool = True) -> None:
        command_lines.check(
            command_lines.CommandLine(page='page', text=text, whole=whole)
        )

    def test_takes_what_there_is(self) -> None:
        self.check('virtdc-manage --config-file X volume resize V 2G --wait')
        self.check('cinder-virtdc-manage alarm restore V')
        self.check('openstack virtdc event list --state waiting -c ID')
        self.check('openstack volume create --size 1 --progress first')
        self.check('virtdc-manage volume', whole=False)
        self.check('openstack virtdc alarm restore', whole=False)
        self.check('openstack virtdc alarm', whole=False)

    def test_refuses_what_there_is_not(self) -> None:
        for text in (
            'virtdc-manage volume explode V',
            'virtdc-manage volume resize V',
            'cinder-virtdc-manage alarm restore',
            'openstack virtdc event list --colour red',
            'openstack virtdc explode',
            'openstack virtdc alarm',
            'openstack volume create --size one first',
        ):
            with (
                self.subTest(text),
                self.assertRaises(command_lines.Unknown),
            ):
                self.check(text)

    def test_refuses_also_in_sentences(self) -> None:
        for text in (
            'virtdc-manage explode',
            'virtdc-manage volume list --colour',
            'openstack virtdc explode',
        ):
            with (
                self.subTest(text),
                self.assertRaises(command_lines.Unknown),
            ):
                self.check(text, whole=False)
