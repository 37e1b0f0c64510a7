"""An agent that kills itself before its n-th step: see ``test_crash_walk``.

The real service with real files and a real journal; only the bus is a file.
Steps are what leaves a trace outside the process: calls of the journal that
write, system calls of the backend, messages. With ``crash_at`` 0 it runs to
the end of its events and prints how many steps there were.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import os
from pathlib import Path
import shutil
import sys
import threading
import traceback

from oslo_config import cfg
from oslo_service import backend

backend.init_backend(backend.BackendType.THREADING)

from tests.busless import BuslessService  # noqa: E402
from tests.unit.agent import builders  # noqa: E402
from virtdc_agent.contract import codec  # noqa: E402
from virtdc_agent.contract import events  # noqa: E402
from virtdc_agent.intake import Intake  # noqa: E402
from virtdc_agent import interfaces  # noqa: E402
from virtdc_agent.journal.sql import SqlJournal  # noqa: E402
from virtdc_agent import opts  # noqa: E402
from virtdc_agent import service  # noqa: E402

GIB = builders.GIB


def copying(
    volume_id: str, parameters: events.Parameters, *, event_id: str
) -> events.Event:
    """Return an event with these parameters, and the operation they are of."""
    return dataclasses.replace(
        builders.delete(volume_id, event_id=event_id),
        operation=events.operation_of(parameters),
        parameters=parameters,
    )


EVENTS = (
    builders.create('v', event_id='e1', size_bytes=GIB),
    builders.create('w', event_id='e2', size_bytes=2 * GIB),
    builders.extend('v', 3 * GIB, event_id='e3'),
    builders.delete('w', event_id='e4'),
    builders.create('w', event_id='e5', size_bytes=GIB),
    copying('v', events.SnapshotParameters(snapshot_id='s'), event_id='e6'),
    copying(
        'x',
        events.CloneParameters(
            source_id='v', snapshot_id='s', size_bytes=4 * GIB
        ),
        event_id='e7',
    ),
    copying('v', events.RevertParameters(snapshot_id='s'), event_id='e8'),
    copying(
        'v', events.DeleteSnapshotParameters(snapshot_id='s'), event_id='e9'
    ),
    copying(
        'y',
        events.ManageParameters(reference='stranger', size_bytes=2 * GIB),
        event_id='e11',
    ),
    copying('y', events.UnmanageParameters(), event_id='e12'),
    copying(
        'v',
        events.SnapshotGroupParameters(snapshots={'v': 'gv', 'x': 'gx'}),
        event_id='e10',
    ),
)
JOURNAL_STEPS = (
    *('join', 'append', 'claim', 'claim_suspect', 'settle'),
    *('mark_published', 'leave'),
)
FILE_STEPS = (
    *('open', 'ftruncate', 'truncate', 'fsync', 'link', 'rename', 'replace'),
    *('unlink', 'write', 'pwrite', 'setxattr', 'copy_file_range'),
)


class Steps:
    """Counts steps, and ends the process before one of them."""

    def __init__(self, crash_at: int) -> None:
        self.count = 0
        self._crash_at = crash_at
        self._lock = threading.Lock()

    def wrap(self, owner: object, name: str, where: str = '') -> None:
        """Make each call of a function a step, if ``where`` calls it."""
        original = getattr(owner, name)

        def step(*args, **kwargs):
            if not where or where in sys._getframe(1).f_code.co_filename:
                with self._lock:
                    self.count += 1
                    if self.count == self._crash_at:
                        os._exit(137)
            return original(*args, **kwargs)

        setattr(owner, name, step)


class FilePublisher(interfaces.Publisher):
    """A bus of one file, on which each message is a durable line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open('a', encoding='utf-8')

    def publish(self, notification) -> None:
        """See the interface."""
        self._file.write(json.dumps(codec.encode(notification)) + '\n')
        self._file.flush()


def run(folder: Path, crash_at: int) -> None:
    """Run an agent in this process, which ends by it.

    What it says, also in its log, is in the file ``said``; how many steps
    there were, in ``steps``. If it neither crashes nor comes to its end, there
    is something in the file ``broken``.
    """
    said = os.open(folder / 'said', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, sys.stdout.fileno())
    os.dup2(said, sys.stderr.fileno())
    # One that hangs says where.
    broken = (folder / 'broken').open('w', encoding='utf-8')
    faulthandler.dump_traceback_later(45, exit=True, file=broken)
    try:
        _run(folder, crash_at)
    except BaseException:
        traceback.print_exc(file=broken)
        broken.flush()
        os._exit(1)


def _run(folder: Path, crash_at: int) -> None:
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf(['--config-file', str(folder / 'agent.conf')], project='virtdc')
    service.sync_journal(conf)
    if not crash_at:
        shutil.copy(folder / 'journal.sqlite', folder / 'empty.sqlite')
    steps = Steps(crash_at)
    for name in JOURNAL_STEPS:
        steps.wrap(SqlJournal, name)
    for name in FILE_STEPS:
        steps.wrap(os, name, where='virtdc_agent/backends')
    steps.wrap(FilePublisher, 'publish')
    publisher = FilePublisher(folder / 'bus')
    agent = BuslessService(conf, publisher, retry_interval_s=0.05, batch=3)
    agent.start()
    journal = agent.journal
    intake = Intake(journal, max_waiting=100)
    for event in EVENTS:
        intake.submit(event)
    ids = [event.event_id for event in EVENTS]
    last = 0
    while last == 0 or journal.count().published < last:
        ends = [one.state.is_final for one in journal.get_latest(ids).values()]
        if all(ends):
            last = journal.get_changes(0, 1).last
        threading.Event().wait(0.005)
    agent.stop()
    (folder / 'steps').write_text(str(steps.count), encoding='ascii')
    # At once: not one more step in some destructor.
    os._exit(0)
