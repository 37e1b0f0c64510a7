"""What is installed from a wheel, without the source, in a new environment."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys
import tempfile
import unittest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / 'uv'

LOAD_ALL = """
import importlib.metadata
for one in importlib.metadata.distribution('virtdc').entry_points:
    if one.group.startswith({groups!r}):
        print(one.group, one.name, one.load())
"""

FIND_SERVICES = """
import importlib.util
print([name for name in ('cinder', 'openstackclient', 'django')
       if importlib.util.find_spec(name)])
"""


class Place:
    """A virtual environment, and nothing of ours in its surroundings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        _run([sys.executable, '-m', 'venv', '--without-pip', str(folder)])

    def install(self, *what: str) -> None:
        """Install in the versions that are tested."""
        _run(
            [
                *(str(UV), 'pip', 'install', '--quiet'),
                *('--python', str(self.folder / 'bin' / 'python')),
                *('--constraint', str(ROOT / 'constraints.txt'), *what),
            ]
        )

    def remove(self) -> None:
        """Remove our distribution."""
        _run(
            [
                *(str(UV), 'pip', 'uninstall', '--quiet'),
                *('--python', str(self.folder / 'bin' / 'python'), 'virtdc'),
            ]
        )

    def run(self, program: str, *arguments: str) -> str:
        """Run one of its programs; return what it prints."""
        return _run([str(self.folder / 'bin' / program), *arguments])

    def python(self, code: str) -> str:
        """Run some code; not where the source could be imported from."""
        return self.run('python', '-I', '-c', code)


class TestInstallation(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.TemporaryDirectory(prefix='virtdc-installation-')
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        _run(
            [
                *(str(UV), 'build', '--quiet', '--wheel'),
                *('--out-dir', str(cls.folder / 'dist'), str(ROOT)),
            ]
        )
        (cls.wheel,) = (cls.folder / 'dist').glob('*.whl')

    def test_the_agent(self) -> None:
        place = Place(self.folder / 'agent')
        place.install(str(self.wheel))
        self.assertRegex(place.run('virtdc-agent', '--version'), r'^\d+\.')
        loaded = place.python(LOAD_ALL.format(groups='virtdc_agent.'))
        self.assertIn('virtdc_agent.backends file', loaded)
        self.assertIn('virtdc_agent.policies adaptive', loaded)
        self.assertEqual('[]', place.python(FIND_SERVICES).strip())
        self.use_a_journal(place)
        for name in ('main.js', 'index.html', 'console.css'):
            found = place.folder.glob(
                f'lib/python*/site-packages/virtdc_agent/api/static/{name}'
            )
            self.assertEqual(1, len(list(found)), name)
        for name in (
            'virtdc-agent.service',
            'cinder-virtdc-listener.service',
            'virtdc-agent.conf.sample',
            'cinder-virtdc.conf.sample',
        ):
            path = place.folder / 'share' / 'virtdc' / name
            self.assertTrue(path.is_file(), path)

    def use_a_journal(self, place: Place) -> None:
        state = self.folder / 'state'
        (state / 'pool').mkdir(parents=True)
        conf = state / 'virtdc-agent.conf'
        conf.write_text(
            f'[DEFAULT]\nstate_path = {state}\n'
            f'[database]\nconnection = sqlite:///{state}/journal.sqlite\n'
            f'[backend_file]\npath = {state}/pool\n',
            encoding='utf-8',
        )
        for command in (('db', 'sync'), ('db', 'check'), ('event', 'list')):
            place.run('virtdc-manage', '--config-file', str(conf), *command)
        self.assertTrue((state / 'journal.sqlite').exists())

    def test_the_client(self) -> None:
        place = Place(self.folder / 'client')
        place.install(f'{self.wheel}[osc]')
        self.assertIn(
            '--config-file', place.run('cinder-virtdc-listener', '--help')
        )
        self.assertIn(
            '--state', place.run('openstack', 'virtdc', 'event', 'list', '-h')
        )
        self.assertIn(
            '--progress', place.run('openstack', 'volume', 'create', '-h')
        )

    def test_the_driver_beside_cinder_and_its_removal(self) -> None:
        """Nothing else than it is added to what Cinder has."""
        place = Place(self.folder / 'cloud')
        place.install('cinder')
        place.install('--no-deps', str(self.wheel))
        driver = place.python(
            'from cinder_virtdc.driver import VirtDCDriver; '
            'print(VirtDCDriver.VERSION)'
        )
        self.assertRegex(driver, r'^\d+\.\d+\.\d+$')
        (record,) = place.folder.glob(
            'lib/python*/site-packages/virtdc-*.dist-info/RECORD'
        )
        installed = [
            record.parent.parent / line.split(',')[0]
            for line in record.read_text(encoding='utf-8').splitlines()
        ]
        self.assertGreater(len(installed), 100)
        place.remove()
        self.assertEqual([], [path for path in installed if path.exists()])

    def assert_shipped(self, place: Place, name: str) -> None:
        found = list(place.folder.glob(f'lib/python*/site-packages/{name}'))
        self.assertEqual(1, len(found), name)


def _run(argv: list[str]) -> str:
    try:
        return subprocess.run(
            argv,
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        ).stdout
    except subprocess.CalledProcessError as exc:
        raise AssertionError(f'{argv}: {exc.stdout}{exc.stderr}') from exc
