"""``tools/chaos``: see its ``--help``."""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
import random
import signal
import sys
import tempfile
import threading
import warnings

# What a library of ours says of a library of its own.
warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')

from oslo_service import backend  # noqa: E402

backend.init_backend(backend.BackendType.THREADING)

from tests.chaos import run  # noqa: E402
from tests.chaos.world import Database  # noqa: E402
from tools.lab import errors  # noqa: E402

_AGENTS = {Database.SQLITE: 1, Database.POSTGRESQL: 3, Database.MARIADB: 3}
_SHOWN = 10


def main() -> int:
    """Run what is asked for; 1 if a law was broken."""
    arguments = _parse()
    # As Ctrl-C: everything that was started is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = arguments.seed
    if seed is None:
        seed = random.SystemRandom().randrange(10**6)
    databases = (
        list(Database)
        if arguments.journal == 'all'
        else [Database(arguments.journal)]
    )
    try:
        verdicts = [
            _run(
                run.Order(
                    database=database,
                    agents=arguments.agents or _AGENTS[database],
                    seed=seed,
                    seconds=60 * arguments.minutes,
                ),
                keep=arguments.keep,
            )
            for database in databases
        ]
    except errors.LabError as exc:
        print(f'tools/chaos: {exc}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('tools/chaos: interrupted; everything is stopped.')
        return 130
    return int(not all(verdicts))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='tools/chaos',
        description='Run real agents on a real broker, database and disk, '
        'have clients ask for volumes without end, and kill, freeze, restart '
        'and fill at random meanwhile. Afterwards compare the journal, the '
        'disk and the notifications. Ends with 1 if a law was broken.',
    )
    parser.add_argument(
        '--journal',
        choices=[*Database, 'all'],
        default='all',
        help='where the journal is: sqlite (one agent), postgresql or '
        'mariadb (three that share it); default: all, one after the other',
    )
    parser.add_argument(
        '--minutes',
        type=_minutes,
        default=2.0,
        metavar='N',
        help='for how long faults strike, on each database (default: 2)',
    )
    parser.add_argument(
        '--seed',
        type=int,
        metavar='N',
        help='which lives and which faults (default: a random one); when '
        'threads and processes take their turns, no seed decides',
    )
    parser.add_argument(
        '--agents',
        type=int,
        choices=range(1, 10),
        metavar='N',
        help='how many agents share the journal, 1 to 9',
    )
    parser.add_argument(
        '--keep',
        action='store_true',
        help='leave the folder with all logs and data; without it that is '
        'done only when a law was broken',
    )
    arguments = parser.parse_args()
    if (arguments.agents or 1) > 1 and arguments.journal in ('sqlite', 'all'):
        parser.error('agents can share postgresql and mariadb, not sqlite')
    return arguments


def _minutes(text: str) -> float:
    value = float(text)
    if not 0.05 <= value <= 600:
        raise argparse.ArgumentTypeError('give 0.05 to 600 minutes')
    return value


def _run(order: run.Order, *, keep: bool) -> bool:
    print(
        f'\n{order.database}, {order.agents} '
        f'agent{"s" * (order.agents > 1)}, {order.seconds:.0f} s of faults, '
        f'seed {order.seed}'
    )
    turn = threading.Lock()

    def tell(at_s: float, words: str) -> None:
        with turn:
            print(f'  {at_s:6.1f} s  {words}', flush=True)

    folder = Path(tempfile.mkdtemp(prefix='virtdc-chaos-'))
    one = run.Run(order, folder, tell)
    holds = False
    try:
        verdict = one.carry_out()
        holds = verdict.holds
        _show(verdict)
    finally:
        # Its mount goes with it, and the disk's content with that.
        kept = keep or not holds
        one.world.down()
        if kept:
            print(f'\nLogs and data are in {folder}.')
        else:
            one.world.remove()
    return holds


def _show(verdict: run.Verdict) -> None:
    print()
    for name, figure in verdict.figures:
        print(f'  {figure!s:>8}  {name}')
    shown: dict[str, int] = defaultdict(int)
    for breach in verdict.breaches:
        shown[breach.law] += 1
        if shown[breach.law] <= _SHOWN:
            print(f'  BROKEN  {breach.law}: {breach.what}')
    print(f'\n{"Every law held." if verdict.holds else "A law was broken."}')


if __name__ == '__main__':
    sys.exit(main())
