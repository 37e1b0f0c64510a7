"""``python -m tools.lab``: a lab by hand.

It prints what a shell exports, and runs until Ctrl-C, or, with ``--keep``,
until ``--stop``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
import shlex
import signal
import sys
import threading

from tools.lab import cinder
from tools.lab import errors
from tools.lab import stack
from tools.lab import steps
from tools.lab import virtdc


def main(argv: Sequence[str] | None = None) -> int:
    """Start or stop a lab."""
    options = _parser().parse_args(argv)
    try:
        if options.stop:
            stack.stop(options.folder)
        else:
            _run(options)
    except errors.LabError as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def exports(environment: dict[str, str]) -> str:
    """Return environment variables as lines for a shell."""
    return '\n'.join(
        f'export {name}={shlex.quote(value)}'
        for name, value in environment.items()
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m tools.lab')
    parser.add_argument('--folder', type=Path, help='the run folder')
    parser.add_argument('--virtdc', action='store_true', help='our driver')
    parser.add_argument(
        '--share', action='store_true', help='volumes on a share of their own'
    )
    parser.add_argument('--nfs', action='store_true', help='the NFS control')
    parser.add_argument('--native-threads', action='store_true')
    parser.add_argument('--keystone', action='store_true')
    parser.add_argument('--glance', action='store_true')
    parser.add_argument('--horizon', action='store_true')
    parser.add_argument('--backup', action='store_true', help='cinder-backup')
    parser.add_argument('--keep', action='store_true', help='leave it running')
    parser.add_argument('--stop', action='store_true', help='stop that one')
    return parser


def _run(options: argparse.Namespace) -> None:
    settings = stack.Settings(
        backends=(virtdc.backend(), cinder.FAKE) if options.virtdc else (),
        agent=virtdc.AgentSettings() if options.virtdc else None,
        listener=virtdc.ListenerSettings() if options.virtdc else None,
        share=options.share,
        reads_images=options.virtdc and options.glance,
        nfs_control=options.nfs,
        backup=options.backup,
        native_threads=options.native_threads,
        keystone=options.keystone or options.glance or options.horizon,
        glance=options.glance,
        horizon=options.horizon,
        rest=options.virtdc and options.horizon,
    )
    with stack.Lab(options.folder, settings, report=_report) as lab:
        print(exports(lab.environment))
        for name, address in lab.addresses.items():
            print(f'# {name}: {address}')
        print(f'# {lab.folder}', flush=True)
        if options.keep:
            lab.leave()
        else:
            threading.Event().wait()


def _report(progress: steps.Progress) -> None:
    if progress.phase is not steps.Phase.STARTED:
        print(
            f'# {progress.phase:6} {progress.step} {progress.elapsed_s:.1f} s',
            flush=True,
        )


if __name__ == '__main__':
    sys.exit(main())
