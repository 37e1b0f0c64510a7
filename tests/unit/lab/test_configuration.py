"""Configuration files as oslo.config reads them."""

from __future__ import annotations

from pathlib import Path
import stat
import tempfile
import unittest

from oslo_config import cfg

from tools.lab import configuration
from tools.lab import errors


class Merging(unittest.TestCase):
    def test_the_last_layer_wins_option_by_option(self) -> None:
        merged = configuration.merge(
            {'a': {'x': 1, 'y': 2}}, {'a': {'y': 3}, 'b': {'z': 4}}
        )
        self.assertEqual({'a': {'x': 1, 'y': 3}, 'b': {'z': 4}}, merged)

    def test_none_takes_an_option_out(self) -> None:
        merged = configuration.merge({'a': {'x': 1}}, {'a': {'x': None}})
        self.assertEqual({'a': {}}, merged)

    def test_layers_are_left_as_they_are(self) -> None:
        layer = {'a': {'x': 1}}
        configuration.merge(layer, {'a': {'x': 2}})
        self.assertEqual({'a': {'x': 1}}, layer)


class Rendering(unittest.TestCase):
    def test_default_comes_first(self) -> None:
        text = configuration.render({'b': {'x': 1}, 'DEFAULT': {'y': True}})
        self.assertEqual('[DEFAULT]\ny = True\n\n[b]\nx = 1\n', text)

    def test_a_list_is_an_option_given_several_times(self) -> None:
        text = configuration.render({'a': {'x': ['1', '2']}})
        self.assertEqual('[a]\nx = 1\nx = 2\n', text)

    def test_a_line_break_is_refused(self) -> None:
        with self.assertRaisesRegex(errors.LabError, r'\[a\] x'):
            configuration.render({'a': {'x': '1\ny = 2'}})

    def test_oslo_config_reads_it(self) -> None:
        conf = cfg.ConfigOpts()
        conf.register_opts(
            [
                cfg.StrOpt('url'),
                cfg.BoolOpt('flag'),
                cfg.MultiStrOpt('many'),
                cfg.StrOpt('path'),
            ],
            group='a',
        )
        with tempfile.TemporaryDirectory() as folder:
            path = configuration.write_sections(
                Path(folder, 'a.conf'),
                {
                    'a': {
                        'url': 'mysql://u:p@h/d?x=1&y=2',
                        'flag': False,
                        'many': ('one', 'two'),
                        'path': Path('/tmp'),
                    }
                },
            )
            conf(['--config-file', str(path)], project='lab')
        self.assertEqual('mysql://u:p@h/d?x=1&y=2', conf.a.url)
        self.assertIs(False, conf.a.flag)
        self.assertEqual(['one', 'two'], conf.a.many)
        self.assertEqual('/tmp', conf.a.path)


class Writing(unittest.TestCase):
    def test_only_the_owner_may_read_and_nothing_else_is_left(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, 'new', 'secret')
            for text in ('one', 'two'):
                configuration.write(path, text)
            self.assertEqual('two', path.read_text(encoding='utf-8'))
            self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
            self.assertEqual([path], list(path.parent.iterdir()))
