"""The sample configurations in etc/ say what the options say."""

from __future__ import annotations

from pathlib import Path
import re

from oslo_config import cfg
from oslo_config import generator

from tests import base

ROOT = Path(__file__).parents[2]
OURS = ('virtdc_agent', 'cinder_virtdc.driver', 'cinder_virtdc.listener')
# Options of keystoneauth that we only pass on.
THEIRS = {('cinder', 'cinder_virtdc.listener')}

Blocks = dict[tuple[str, str], str]


def blocks_of(text: str) -> Blocks:
    """Cut a sample into what each namespace says in each section."""
    found: Blocks = {}
    section = namespace = ''
    for line in text.splitlines(keepends=True):
        if match := re.fullmatch(r'\[(.+)\]\n', line):
            section, namespace = match[1], ''
        elif match := re.fullmatch(r'# From (.+)\n', line):
            namespace = match[1]
        elif namespace:
            key = (section, namespace)
            found[key] = found.get(key, '') + line
    return {
        key: text.strip('#\n') for key, text in found.items() if text.strip()
    }


def ours(blocks: Blocks) -> Blocks:
    """Return our part: the libraries' changes with their versions."""
    return {
        key: text
        for key, text in blocks.items()
        if key[1] in OURS and key not in THEIRS
    }


class TestSamples(base.TestCase):
    def generators(self) -> list[tuple[Path, Path]]:
        """Return (generator's file, sample) of every sample."""
        found = [
            (
                path,
                path.with_name(
                    path.name.replace('-config-generator.conf', '.conf.sample')
                ),
            )
            for path in sorted(
                (ROOT / 'etc').glob('*/*-config-generator.conf')
            )
        ]
        self.assertEqual(3, len(found))
        return found

    def generate(self, instructions: Path) -> str:
        """Return the sample as it would be written now."""
        conf = cfg.ConfigOpts()
        generator.register_cli_opts(conf)
        output = self.folder / instructions.stem
        conf(
            [f'--config-file={instructions}', f'--output-file={output}'],
            default_config_files=[],
            default_config_dirs=[],
        )
        generator.generate(conf)
        return output.read_text('utf-8')

    def test_are_not_stale(self) -> None:
        self.maxDiff = None
        for instructions, sample in self.generators():
            with self.subTest(sample=sample.name):
                self.assertEqual(
                    ours(blocks_of(self.generate(instructions))),
                    ours(blocks_of(sample.read_text('utf-8'))),
                    f'{sample.name} is stale: run tox -e genconfig',
                )

    def test_are_written_where_they_are_looked_for(self) -> None:
        for instructions, sample in self.generators():
            self.assertIn(
                f'output_file = {sample.relative_to(ROOT)}\n',
                instructions.read_text('utf-8'),
            )

    def test_hold_nothing_of_the_machine_that_wrote_them(self) -> None:
        for _, sample in self.generators():
            text = sample.read_text('utf-8')
            self.assertNotIn(str(ROOT), text)
            self.assertNotIn(f'{Path.home()}/', text)
            for line in text.splitlines():
                if line.startswith('#name = '):
                    self.assertEqual('#name = <host name>', line)

    def test_set_nothing(self) -> None:
        for _, sample in self.generators():
            for line in sample.read_text('utf-8').splitlines():
                self.assertRegex(line, r'^(#.*|\[.+\]|)$')


class TestBlocks(base.TestCase):
    def test_a_changed_option_is_seen(self) -> None:
        text = (
            '[DEFAULT]\n\n#\n# From oslo.log\n#\n\n# Theirs.\n#debug = false\n'
            '\n#\n# From virtdc_agent\n#\n\n# Ours.\n#state_path = /var\n'
            '\n\n[agent]\n\n#\n# From virtdc_agent\n#\n\n# Name.\n#name = a\n'
        )
        blocks = blocks_of(text)
        self.assertEqual(
            {
                ('DEFAULT', 'oslo.log'): ' Theirs.\n#debug = false',
                ('DEFAULT', 'virtdc_agent'): ' Ours.\n#state_path = /var',
                ('agent', 'virtdc_agent'): ' Name.\n#name = a',
            },
            blocks,
        )
        self.assertEqual(2, len(ours(blocks)))
        for change in ('Ours', 'state_path', '/var', 'Name'):
            changed = blocks_of(text.replace(change, 'other'))
            self.assertNotEqual(ours(blocks), ours(changed))
