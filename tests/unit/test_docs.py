"""The documents name what there is."""

from __future__ import annotations

import configparser
from pathlib import Path
import re
import unittest

from cinder_virtdc import opts as cloud_opts
from cinder_virtdc.sync import properties
from cinder_virtdc import translate
from virtdc_agent.contract import events
from virtdc_agent import opts as agent_opts

ROOT = Path(__file__).parents[2]


def text_of(path: str) -> str:
    """Return a document's text."""
    return (ROOT / path).read_text('utf-8')


class TestUserGuide(unittest.TestCase):
    def test_has_all_that_a_user_sees(self) -> None:
        text = text_of('doc/source/user/index.rst')
        for word in (
            *properties.SHOWN,
            *events.State,
            *events.Reason,
            *events.Operation,
            *events.Format,
            translate.FORMAT_SPEC,
            translate.PROVISIONING_SPEC,
            translate.STANDARD_PROVISIONING_SPEC,
        ):
            with self.subTest(word=word):
                self.assertIn(f'``{word}``', text)
        for word in events.Provisioning:
            self.assertIn(f'``{word}``:', text)

    def test_names_no_property_that_there_is_not(self) -> None:
        text = text_of('doc/source/user/index.rst')
        self.assertEqual(
            set(properties.SHOWN), set(re.findall(r'``(virtdc\.\w+)``', text))
        )


class TestOptions(unittest.TestCase):
    """Options in examples and in running text exist."""

    def known(self) -> set[str]:
        """Return the names of all our options."""
        groups = [
            *agent_opts.list_opts(),
            *cloud_opts.list_driver_opts(),
            *cloud_opts.list_listener_opts(),
        ]
        return {option.dest for _, options in groups for option in options}

    def test_in_text(self) -> None:
        known = self.known()
        for path in (ROOT / 'doc' / 'source').rglob('*.rst'):
            text = re.sub(r'\s+', ' ', path.read_text('utf-8'))
            for name in re.findall(r'``\[\w+\] (\w+)', text):
                with self.subTest(path=path.name, name=name):
                    self.assertIn(name, known)

    def test_in_examples(self) -> None:
        elsewhere = {
            *('transport_url', 'enabled_backends', 'volume_driver'),
            *('volume_backend_name', 'auth_url', 'username', 'password'),
            *('project_name', 'user_domain_name', 'project_domain_name'),
            *('auth_type', 'amqp_durable_queues'),
            # Nova's.
            *('nfs_mount_point_base', 'nfs_mount_options'),
            'send_service_user_token',
        }
        text = text_of('doc/source/install/index.rst')
        examples = re.findall(r'code-block:: ini\n\n((?:   .*\n|\n)+)', text)
        seen = set()
        for example in examples:
            parser = configparser.ConfigParser(default_section='none')
            parser.read_string(re.sub(r'(?m)^   ', '', example))
            if not parser.has_section('Service'):
                for section in parser.sections():
                    seen |= set(parser[section])
        self.assertIn('virtdc_transport_url', seen)
        self.assertEqual(set(), seen - self.known() - elsewhere)
