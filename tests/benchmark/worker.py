"""One agent without a bus, and the clients of it: a process of its own.

Told ``go`` on its standard input, it submits; what it measured it prints as
one line of JSON. See ``durable``.
"""

from __future__ import annotations

from concurrent import futures
import datetime
import json
from pathlib import Path
import resource
import sys
import time
import uuid

from oslo_config import cfg
from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

from tests import busless  # noqa: E402
from virtdc_agent.contract import events  # noqa: E402
from virtdc_agent.contract.events import State  # noqa: E402
from virtdc_agent.intake import Intake  # noqa: E402
from virtdc_agent import opts  # noqa: E402

_MIB = 1024**2


def create_event(project: str = '') -> events.Event:
    """Return an event that creates a volume of its own."""
    return events.Event(
        event_id=str(uuid.uuid4()),
        operation=events.Operation.CREATE,
        volume_id=str(uuid.uuid4()),
        origin=events.Origin.CLOUD,
        parameters=events.CreateParameters(size_bytes=_MIB),
        created_at=datetime.datetime.now(datetime.UTC),
        requested_by=events.Requester(project_id=project),
    )


class Worker:
    """The agent, and what is asked of it."""

    def __init__(self, conf_file: Path) -> None:
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        conf(['--config-file', str(conf_file)], project='virtdc')
        self._service = busless.BuslessService(conf, busless.Deaf())
        self._service.start()
        self._journal = self._service.journal
        self._intake = Intake(self._journal, max_waiting=10**7)

    def burst(self, count: int, clients: int) -> dict[str, float]:
        """Submit at once; return when all is accepted, and when ended.

        Ends of others' events count as well: all agents are measured by the
        last end.
        """
        made = [create_event() for _ in range(count)]
        begun = time.monotonic()
        with futures.ThreadPoolExecutor(clients) as pool:
            list(pool.map(self._intake.submit, made))
        accepted = time.monotonic()
        while True:
            counts = self._journal.count()
            if counts.waiting + counts.running == 0:
                break
            time.sleep(0.01)
        ended = time.monotonic()
        ids = [event.event_id for event in made]
        for event_id, latest in self._journal.get_latest(ids).items():
            if latest.state is not State.SUCCESS:
                raise RuntimeError(f'{event_id}: {latest}')
        return {
            'begun': begun,
            'accepted': accepted,
            'ended': ended,
            'peak_kib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }

    def one_by_one(self, count: int) -> dict[str, list[float]]:
        """Submit each when the one before has ended; tell seconds each.

        From before the submission to the journal's note that it runs.
        """
        found = []
        for _ in range(count):
            event = create_event()
            begun = time.time()
            self._intake.submit(event)
            while True:
                latest = self._journal.get_latest([event.event_id])
                if latest[event.event_id].state.is_final:
                    break
                time.sleep(0.002)
            found.append(self._start_of(event.event_id) - begun)
            # The next one finds an idle agent.
            time.sleep(0.005)
        return {'seconds': found}

    def _start_of(self, event_id: str) -> float:
        last = self._journal.get_changes(0, 1).last
        recent = self._journal.get_changes(max(0, last - 5), 5).transitions
        for one in recent:
            if one.event_id == event_id and one.state is State.RUNNING:
                return one.occurred_at.timestamp()
        raise RuntimeError(f'{event_id} never ran')

    def stop(self) -> None:
        """Stop the agent."""
        self._service.stop()


def main() -> None:
    """Run: ``worker CONF (burst COUNT CLIENTS | one_by_one COUNT)``."""
    worker = Worker(Path(sys.argv[1]))
    print('ready', flush=True)
    sys.stdin.readline()
    arguments = [int(one) for one in sys.argv[3:]]
    found = getattr(worker, sys.argv[2])(*arguments)
    print(json.dumps(found), flush=True)
    sys.stdin.readline()
    worker.stop()


if __name__ == '__main__':
    main()
