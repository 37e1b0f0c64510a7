"""``tools/demo``: see its ``--help``."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
import shlex
import signal
import sys
import time

from tools.lab import errors
from tools.lab import stack
from tools.lab import virtdc
from tools.tour import scenes
from tools.tour.screen import Screen

KEPT_LINK = Path.home() / '.virtdc-demo'
"""Remembers the run folder of ``--keep`` for ``--stop``."""


def main() -> int:
    """Run the demonstration."""
    arguments = _parse()
    screen = Screen(plain=arguments.plain)
    # As Ctrl-C: everything that was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments.stop:
            return _stop(arguments.folder, screen)
        return _run(arguments, screen)
    except errors.LabError as exc:
        print(f'tools/demo: {exc}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('tools/demo: interrupted; everything is stopped.')
        return 130


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/demo',
        description='Start a real cloud on loopback, make volumes in it, '
        'show what happens, and clean up.',
    )
    parser.add_argument(
        '--folder',
        type=Path,
        metavar='DIR',
        help='where all data lies while it runs (default: a temporary one); '
        'with --stop, the folder of the system to stop',
    )
    parser.add_argument(
        '--horizon',
        action='store_true',
        help='start the dashboard and the image service, too',
    )
    parser.add_argument(
        '--keep',
        action='store_true',
        help='leave the system running at the end, and say how to use it',
    )
    parser.add_argument(
        '--stop',
        action='store_true',
        help='end a system that --keep left running',
    )
    parser.add_argument(
        '--plain', action='store_true', help='print without colours'
    )
    return parser.parse_args()


def _run(arguments: argparse.Namespace, screen: Screen) -> int:
    screen.scene('Starting a cloud')
    begun = time.monotonic()
    lab = stack.Lab(
        arguments.folder,
        stack.Settings(
            backends=(virtdc.backend(),),
            agent=virtdc.AgentSettings(),
            listener=virtdc.ListenerSettings(),
            keystone=True,
            glance=arguments.horizon,
            horizon=arguments.horizon,
            # What our part of the dashboard asks.
            rest=arguments.horizon,
        ),
        report=screen.step,
    )
    with contextlib.ExitStack() as running:
        running.enter_context(lab)
        screen.say(f'Ready after {time.monotonic() - begun:.1f} s.')
        if lab.horizon is not None:
            screen.say(
                f'Dashboard: {lab.horizon.url}  (admin, '
                f'{lab.environment["OS_PASSWORD"]})'
            )
        story = scenes.Story(lab, screen)
        story.tell()
        screen.scene('Summary')
        screen.table(
            '',
            ('what', 'outcome'),
            [(result.what, result.outcome) for result in story.results],
        )
        if arguments.keep:
            _leave(lab, screen)
            running.pop_all()
            return 0
        screen.say('Stopping everything.')
    return 0


def _leave(lab: stack.Lab, screen: Screen) -> None:
    exports = ''.join(
        f'export {name}={shlex.quote(value)}\n'
        for name, value in sorted(lab.environment.items())
    )
    file = lab.folder / 'openrc'
    file.touch(mode=0o600)
    file.write_text(exports, encoding='utf-8')
    KEPT_LINK.unlink(missing_ok=True)
    KEPT_LINK.symlink_to(lab.folder)
    lab.leave()
    binaries = Path(sys.executable).parent
    screen.say('The system runs on. To use it:')
    screen.output(
        f'  . {file}\n'
        f'  export PATH={binaries}:$PATH\n'
        '  openstack volume create --size 1 mine\n'
        '  openstack volume show mine -c status -c properties\n'
        f'  ls -l {lab.agent.pool if lab.agent else ""}\n'
        '\nTo end it:\n  tools/demo --stop'
    )


def _stop(folder: Path | None, screen: Screen) -> int:
    if folder is None:
        if not KEPT_LINK.is_symlink():
            raise errors.LabError('No system was left running by --keep.')
        folder = KEPT_LINK.readlink()
    stack.stop(folder)
    if KEPT_LINK.is_symlink() and KEPT_LINK.readlink() == folder:
        KEPT_LINK.unlink()
    screen.say(f'Stopped. Data and logs are in {folder}.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
