"""``tools/acceptance``: see its ``--help``."""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import tempfile
import time

from tests.acceptance import tempest
from tests.benchmark import report
from tools.lab import environment
from tools.lab import images
from tools.lab import stack
from tools.lab import virtdc

_IMAGE_BYTES = 64 * 1024**2


def main() -> int:
    """Run the parts that are asked for; fail if one of them has."""
    parser = argparse.ArgumentParser(
        prog='tools/acceptance',
        description="OpenStack's own tests of volumes, tempest and "
        "cinder-tempest-plugin, on a real cloud with this project's driver: "
        'Keystone, Glance, Cinder, the agent and the listener, on loopback. '
        'Prints what passed, what failed, and why the rest was skipped. Needs '
        'root, and some ten minutes.',
        epilog='Another part is "tools/acceptance guest"; it has a --help.',
    )
    parser.add_argument(
        '--only',
        choices=[one.name for one in tempest.PASSES],
        action='append',
        help='only this part; may be repeated',
    )
    parser.add_argument(
        '--native-threads',
        action='store_true',
        help='cinder-volume without eventlet (Cinder 29 cannot copy images '
        'then)',
    )
    options = parser.parse_args()
    wanted = [
        one
        for one in tempest.PASSES
        if not options.only or one.name in options.only
    ]
    folder = Path(tempfile.mkdtemp(prefix='virtdc-acceptance-'))
    settings = stack.Settings(
        backends=(virtdc.backend(),),
        agent=virtdc.AgentSettings(),
        listener=virtdc.ListenerSettings(),
        keystone=True,
        glance=True,
        share=True,
        reads_images=True,
        backup=True,
        native_threads=options.native_threads,
    )
    print(report.machine(), flush=True)
    failed = 0
    with stack.Lab(settings=settings) as lab:
        place = environment.Environment(
            lab.supervisor,
            environment.ROOT / '.venv-tempest',
            name='tempest-venv',
            constraints=environment.ROOT / 'constraints-tempest.txt',
            packages=('tempest', 'cinder-tempest-plugin'),
        )
        place.make()
        runner = tempest.Tempest(
            lab,
            place.installation,
            folder,
            image=_upload(lab, folder / 'image'),
        )
        for part in wanted:
            begun = time.monotonic()
            result = runner.run(part)
            _print(part, result, time.monotonic() - begun)
            failed += len(result.failed)
    print(f'\nThe whole output is in {folder}.')
    return 1 if failed else 0


def _upload(lab: stack.Lab, path: Path) -> str:
    """Upload a public image; return its id."""
    with path.open('wb') as file:
        file.truncate(_IMAGE_BYTES)
    return images.upload(lab.environment, path, is_public=True)


def _print(
    part: tempest.Pass, result: tempest.Result, elapsed_s: float
) -> None:
    print(
        f'\n{part.name}: {result.passed} passed, {len(result.failed)} failed, '
        f'{len(result.skipped)} skipped, {elapsed_s:.0f} s'
    )
    for name in result.failed:
        print(f'  failed   {name}')
    for name, reason in sorted(result.skipped.items()):
        print(f'  skipped  {name}: {reason}')
    sys.stdout.flush()


if __name__ == '__main__':
    sys.exit(main())
