"""``tools/bench``: see its ``--help``."""

from __future__ import annotations

import argparse
import sys

from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

from tests.benchmark import cloud  # noqa: E402
from tests.benchmark import copies  # noqa: E402
from tests.benchmark import durable  # noqa: E402
from tests.benchmark import pipeline  # noqa: E402
from tests.benchmark import report  # noqa: E402
from tests.benchmark import resync  # noqa: E402
from tests.benchmark import scale  # noqa: E402
from tests.benchmark.simulator import compare  # noqa: E402
from tests.benchmark import sync  # noqa: E402

PARTS = {
    'durable': durable.run,
    'scale': scale.run,
    'pipeline': pipeline.run,
    'simulator': compare.run,
    'cloud': cloud.run,
    'copies': copies.run,
    'sync': sync.run,
    'resync': resync.run,
}


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(
        prog='tools/bench',
        description='Print the figures of the project, each beside its peer. '
        'durable: events per second, beside bare commits to the same '
        'database. scale: what one event costs beside a million others (20 '
        'minutes). pipeline: the agent by itself, over a real broker. '
        'simulator: policies, beside an oracle; it has options of its own. '
        "cloud: volumes through real Cinder, beside Cinder's own drivers "
        '(some minutes). copies: snapshots, clones and images through real '
        'Cinder, beside its NFS driver; needs root. '
        'sync: changes in the data centre until the cloud shows them, beside '
        "the same asked of Cinder's own API. "
        'resync: a comparison of 10,000 volumes.',
    )
    parser.add_argument(
        'part', nargs='?', choices=[*PARTS, 'all'], default='all'
    )
    if sys.argv[1:2] == ['simulator']:
        compare.run(sys.argv[2:])
        return 0
    part = parser.parse_args().part
    wanted = list(PARTS) if part == 'all' else [part]
    print(report.machine())
    for name in wanted:
        PARTS[name]()
    return 0


if __name__ == '__main__':
    sys.exit(main())
