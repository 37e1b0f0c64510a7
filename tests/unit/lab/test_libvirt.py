"""The settings of a lab's libvirtd."""

from __future__ import annotations

import unittest

from tools.lab import errors
from tools.lab import libvirt


class TestRender(unittest.TestCase):
    def test_as_libvirt_reads_it(self) -> None:
        self.assertEqual(
            'user = "somebody"\nowned = 0\nnamespaces = []\n',
            libvirt.render({'user': 'somebody', 'owned': 0, 'namespaces': ()}),
        )

    def test_a_value_is_one_value(self) -> None:
        for value in ('a"b', 'a\nb'):
            with self.assertRaisesRegex(errors.LabError, 'user'):
                libvirt.render({'user': value})
