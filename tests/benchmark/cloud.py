"""Volumes per second through real Cinder, beside Cinder's own drivers."""

from __future__ import annotations

from concurrent import futures
import json
import sqlite3
import statistics
import time

from oslo_config import cfg

from tests.benchmark import pipeline
from tests.benchmark import report
from tools.lab import cinder
from tools.lab import rest
from tools.lab import stack
from tools.lab import virtdc
from virtdc_agent.contract import codec
from virtdc_agent.contract.events import Transition

CLIENTS = 16
ROUNDS = {20: 3, 100: 2, 300: 1}
STUCK_S = 300
PEERS = ('virtdc', 'nfs', 'fake')


def settings() -> stack.Settings:
    """Return a cloud with our driver and both of its peers."""
    return stack.Settings(
        backends=(virtdc.backend(), cinder.FAKE),
        nfs_control=True,
        agent=virtdc.AgentSettings(),
        listener=virtdc.ListenerSettings(),
    )


def run() -> None:
    """Measure and print."""
    with stack.Lab(settings=settings()) as lab:
        cloud = lab.cinder.client()
        for kind in PEERS:  # the first of each is slower
            _rate(cloud, kind, 5)
        _print_memory(lab, 'idle')
        _print_rates(cloud)
        _print_latency(lab, cloud)
        _fill(lab)
        _print_memory(lab, f'{pipeline.WAITING} events waiting')


def _print_rates(cloud: rest.Rest) -> None:
    rows = []
    for count, rounds in ROUNDS.items():
        rates: dict[str, list[float]] = {kind: [] for kind in PEERS}
        for turn in range(rounds):
            # Another order every time: none is always the warm one.
            for index in range(len(PEERS)):
                kind = PEERS[(index + turn) % len(PEERS)]
                rates[kind].append(_rate(cloud, kind, count))
        median = {kind: statistics.median(rates[kind]) for kind in PEERS}
        rows.append(
            [
                str(count),
                *(f'{median[kind]:.1f}' for kind in PEERS),
                f'{median["virtdc"] / median["fake"]:.2f}',
                f'{median["virtdc"] / median["nfs"]:.2f}',
            ]
        )
        report.show(
            f'Volumes/s from {CLIENTS} clients until all are available '
            '(median)',
            ('volumes', *PEERS, 'virtdc/fake', 'virtdc/nfs'),
            rows,
        )


def _rate(cloud: rest.Rest, kind: str, count: int) -> float:
    """Create volumes, wait for all, delete them; return creates/s."""

    def create(index: int) -> str:
        body = {'name': f'{kind}-{index}', 'size': 1, 'volume_type': kind}
        made = cloud.post('/volumes', {'volume': body})
        return str(made['volume']['id'])

    begun = time.monotonic()
    with futures.ThreadPoolExecutor(CLIENTS) as pool:
        ids = list(pool.map(create, range(count)))
    _await_none(cloud, '/volumes?status=creating&limit=1')
    elapsed_s = time.monotonic() - begun
    shown = cloud.get('/volumes/detail?limit=1000')['volumes']
    bad = [one['id'] for one in shown if one['status'] != 'available']
    if bad or len(shown) != count:
        raise RuntimeError(f'{kind}: {len(shown)} volumes, not well: {bad}')
    with futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda one: cloud.delete(f'/volumes/{one}'), ids))
    _await_none(cloud, '/volumes?limit=1')
    return count / elapsed_s


def _fill(lab: stack.Lab) -> None:
    """Have many events wait at an agent that takes none."""
    if lab.agent is None:
        raise RuntimeError('no agent')
    lab.agent.service.stop()
    lab.agent.reconfigure(
        {'executor': {'dispatch': 'interval', 'interval_s': 3600}}
    )
    lab.agent.service.start()
    cfg.CONF([], project='virtdc-bench', default_config_files=[])
    client = pipeline.client_of(
        lab.rabbitmq.private_url, topic=virtdc.RPC_QUEUE
    )
    made = [pipeline.create_event() for _ in range(pipeline.WAITING)]
    with futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client.submit, made))
    time.sleep(5)


def _print_memory(lab: stack.Lab, when: str) -> None:
    rows = [
        [name, *pipeline.memory(part.service.pid)]
        for name, part in (('agent', lab.agent), ('listener', lab.listener))
        if part is not None
    ]
    report.show(
        f'Memory, MiB, {when}', ('process', 'resident', 'own share'), rows
    )


def _await_none(cloud: rest.Rest, path: str) -> None:
    deadline = time.monotonic() + STUCK_S
    while cloud.get(path)['volumes']:
        if time.monotonic() > deadline:
            raise RuntimeError(f'after {STUCK_S} s there is still {path}')
        time.sleep(0.1)


def _print_latency(lab: stack.Lab, cloud: rest.Rest) -> None:
    """Print the time from the agent's word to ``available`` in Cinder."""
    if lab.agent is None:
        raise RuntimeError('no agent')
    seen_at: dict[str, float] = {}
    for index in range(40):
        body = {'name': f'one-{index}', 'size': 1, 'volume_type': 'virtdc'}
        volume_id = cloud.post('/volumes', {'volume': body})['volume']['id']
        while (
            cloud.get(f'/volumes/{volume_id}')['volume']['status']
            != 'available'
        ):
            time.sleep(0.002)
        seen_at[volume_id] = time.time()
        time.sleep(0.3)
    late_ms = []
    with sqlite3.connect(f'file:{lab.agent.journal}?mode=ro', uri=True) as db:
        for (body,) in db.execute('SELECT body FROM transitions'):
            ended = codec.decode(json.loads(body), Transition)
            if ended.volume_id in seen_at and ended.state.is_final:
                final_at = ended.occurred_at.timestamp()
                late_ms.append((seen_at[ended.volume_id] - final_at) * 1000)
    report.show(
        'From the final state at the agent to available in Cinder, idle, '
        'seen by polling the API',
        ('volumes', 'p50 ms', 'p99 ms'),
        [
            [
                str(len(late_ms)),
                f'{report.percentile(late_ms, 0.5):.0f}',
                f'{report.percentile(late_ms, 0.99):.0f}',
            ]
        ],
    )
    for volume_id in seen_at:
        cloud.delete(f'/volumes/{volume_id}')
