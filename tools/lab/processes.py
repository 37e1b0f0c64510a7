"""Processes that are started, watched and stopped by their id.

Three guards against signalling a stranger: a process is known by its id
*and* its start time; signals go through a pidfd opened before that is
checked; and everything a lab starts, with all its descendants, carries the
lab's random token in its environment.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import enum
import json
import os
from pathlib import Path
import signal
import subprocess
import threading
import time

from tools.lab import configuration
from tools.lab import errors

TOKEN_VARIABLE = 'VIRTDC_LAB_TOKEN'
POLL_S = 0.05
STARTING_GRACE_S = 1.0
"""Grace of a process that is not ready: it may not even hear a TERM yet,
and has nothing to lose."""
_LEFT_OUT = ('OS_', 'PYTHON', 'RABBITMQ_', 'ERL_', 'VIRTDC_', 'UWSGI_')


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """One process, for ever: its id may be reused, its start time not."""

    pid: int
    started: int
    """Clock ticks between boot and start, as /proc tells it."""

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """Return the identity of a living process, ``None`` of others.

        A zombie has ended: it does not live.
        """
        try:
            stat = Path(f'/proc/{pid}/stat').read_text(
                encoding='utf-8', errors='replace'
            )
        except OSError:
            return None
        # The second field, the name, may hold blanks and parentheses.
        fields = stat.rpartition(')')[2].split()
        if not fields or fields[0] in 'ZXx':
            return None
        return cls(pid=pid, started=int(fields[19]))

    def is_alive(self) -> bool:
        """Say whether this very process still runs."""
        return Identity.of(self.pid) == self

    def send(self, number: signal.Signals) -> bool:
        """Signal this process; never another that took its id.

        :returns: whether it was still there.
        """
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if not self.is_alive():
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


class Rank(enum.IntEnum):
    """Order of stopping: those that use others go before these."""

    APPLICATION = 0
    INFRASTRUCTURE = 1
    NAMING = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A running process as its pid file tells it."""

    name: str
    identity: Identity
    rank: Rank = Rank.APPLICATION
    grace_s: float = 10.0

    def write(self, path: Path) -> None:
        """Write the pid file."""
        content = {
            'name': self.name,
            'pid': self.identity.pid,
            'started': self.identity.started,
            'rank': int(self.rank),
            'grace_s': self.grace_s,
        }
        configuration.write(path, json.dumps(content) + '\n')

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """Read a pid file; ``None`` if it is not (any more) one."""
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            return cls(
                name=str(content['name']),
                identity=Identity(
                    pid=int(content['pid']), started=int(content['started'])
                ),
                rank=Rank(content['rank']),
                grace_s=float(content['grace_s']),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def read_records(folder: Path) -> list[Record]:
    """Read the pid files of a folder; unreadable ones are left out."""
    found = (Record.read(path) for path in sorted(folder.glob('*.json')))
    return [record for record in found if record is not None]


def end(records: Iterable[Record]) -> list[str]:
    """Stop processes: TERM, and KILL for those that outlive their grace.

    Ranks are stopped one after the other, all of one rank at once. Returns
    when none of them runs.

    :returns: the names of those that had to be killed.
    """
    killed = []
    pending = sorted(records, key=lambda record: record.rank)
    for rank in Rank:
        current = [record for record in pending if record.rank == rank]
        for record in current:
            record.identity.send(signal.SIGTERM)
            # One that was paused takes its TERM only when it goes on.
            record.identity.send(signal.SIGCONT)
        begun = time.monotonic()
        while current:
            current = [one for one in current if one.identity.is_alive()]
            late = time.monotonic() - begun
            for record in current:
                if late > record.grace_s:
                    record.identity.send(signal.SIGKILL)
                    if record.name not in killed:
                        killed.append(record.name)
            if current:
                time.sleep(POLL_S)
    return killed


def sweep(token: str) -> list[int]:
    """Kill every process that carries a lab's token, and wait for its end.

    It finds what no pid file tells of: workers that outlived their master,
    daemons that went off on their own, a child whose lab died on the very
    next instruction.
    """
    if not token:
        return []
    mark = f'{TOKEN_VARIABLE}={token}'.encode()
    swept: list[int] = []
    while True:
        found = list(_marked(mark))
        if not found:
            return swept
        swept += [
            identity.pid for identity in found if identity.send(signal.SIGKILL)
        ]
        time.sleep(POLL_S)


def _marked(mark: bytes) -> Iterator[Identity]:
    for entry in Path('/proc').iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        identity = Identity.of(int(entry.name))
        if identity is None:
            continue
        try:
            environment = (entry / 'environ').read_bytes()
        except OSError:
            continue
        if mark in environment.split(b'\0'):
            yield identity


def clean_environment(source: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what would lead a program astray.

    Credentials of another cloud, proxies, and settings of the programs that
    a lab starts are taken out.
    """
    return {
        name: value
        for name, value in source.items()
        if not name.startswith(_LEFT_OUT)
        and not name.lower().endswith('_proxy')
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to start, and how to know that it is ready."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True
    """Asked every few milliseconds; must not raise and not block long."""
    ready_timeout_s: float = 60.0
    grace_s: float = 10.0
    rank: Rank = Rank.APPLICATION


class Service:
    """A program that a supervisor runs: in its own session, with a log.

    Thread-safe. ``start`` after ``stop`` or ``kill`` starts it anew.
    """

    def __init__(self, program: Program, supervisor: Supervisor) -> None:
        self.program = program
        self.log = supervisor.log_path(program.name)
        self._supervisor = supervisor
        self._pid_file = supervisor.pid_folder / f'{program.name}.json'
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: Identity | None = None
        self._ready = False
        self._log_offset = 0
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        """The program's name."""
        return self.program.name

    @property
    def pid(self) -> int:
        """The process id.

        :raises LabError: it does not run.
        """
        with self._lock:
            if self._identity is None:
                raise errors.LabError(f'{self.name} does not run')
            return self._identity.pid

    def is_running(self) -> bool:
        """Say whether the process runs; a paused one does."""
        with self._lock:
            return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start it and, by default, wait until it is ready.

        Until it is known to be ready it is given only a short grace.

        :raises ProgramError: it ended early or was not ready in time.
        :raises LabClosed: the lab is being stopped.
        """
        with self._lock:
            if self.is_running():
                raise errors.LabError(f'{self.name} already runs')
            self._log_offset = (
                self.log.stat().st_size if self.log.exists() else 0
            )
            self._process = self._supervisor.spawn(
                self.program.argv, self.program.environment, self.log
            )
            self._identity = Identity.of(self._process.pid)
            self._ready = False
            self._note()
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the program says that it is ready.

        :raises ProgramError: it ended, or its time is over.
        :raises LabClosed: the lab is being stopped.
        """
        deadline = time.monotonic() + self.program.ready_timeout_s
        while True:
            ready = self.program.ready()
            # Checked after the question: another server on its port might
            # have answered for a program that did not even start.
            if not self.is_running():
                raise self._error(f'{self.name} {self._how_it_ended()}')
            if ready:
                with self._lock:
                    self._ready = True
                    self._note()
                return
            if time.monotonic() > deadline:
                raise self._error(
                    f'{self.name} was not ready after '
                    f'{self.program.ready_timeout_s:g} s'
                )
            self._supervisor.sleep(POLL_S)

    def stop(self) -> None:
        """Stop it: TERM, KILL after its grace. Idempotent."""
        with self._lock:
            process, identity = self._process, self._identity
            if process is None:
                return
            if identity is not None:
                end([self._record(identity)])
            self._reap(process)

    def kill(self) -> None:
        """Kill it and its children without warning (``kill -9``)."""
        with self._lock:
            if self._process is not None:
                self._signal(signal.SIGKILL)
                self._reap(self._process)

    def pause(self) -> None:
        """Freeze it and its children: it holds its sockets, but is deaf."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo :meth:`pause`."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop, start, wait until ready."""
        self.stop()
        self.start()

    def log_text(self) -> str:
        """Return what it logged since it was last started."""
        try:
            content = self.log.read_bytes()
        except OSError:
            return ''
        return content[self._log_offset :].decode('utf-8', 'replace')

    def reap(self) -> None:
        """Collect a process that something else has ended."""
        with self._lock:
            if self._process is not None and not self.is_running():
                self._reap(self._process)

    def _signal(self, number: signal.Signals) -> None:
        with self._lock:
            if not self.is_running():
                return
            # Its group: it leads a session of its own, and as long as it is
            # not reaped, nobody else can have its id.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        if process.returncode is None:
            # Children that outlive it. Not reaped yet, it keeps its id, so
            # the group can be nobody else's.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._process = None
        self._identity = None
        self._pid_file.unlink(missing_ok=True)

    def _record(self, identity: Identity) -> Record:
        grace_s = self.program.grace_s
        if not self._ready:
            grace_s = min(grace_s, STARTING_GRACE_S)
        return Record(
            name=self.name,
            identity=identity,
            rank=self.program.rank,
            grace_s=grace_s,
        )

    def _note(self) -> None:
        if self._identity is not None:
            self._record(self._identity).write(self._pid_file)

    def _how_it_ended(self) -> str:
        status = None if self._process is None else self._process.returncode
        if status is None:
            return 'was stopped before it was ready'
        if status < 0:
            return f'was ended by signal {-status} before it was ready'
        return f'ended with exit status {status} before it was ready'

    def _error(self, what: str) -> errors.ProgramError:
        return errors.ProgramError(what, self.log, offset=self._log_offset)


class Supervisor:
    """Starts programs for one run folder, until it is closed.

    Thread-safe. After :meth:`close` nothing is started any more, and all
    that wait are woken with :class:`~tools.lab.errors.LabClosed`.
    """

    def __init__(self, folder: Path, token: str) -> None:
        self.folder = folder
        self.log_folder = folder / 'log'
        self.pid_folder = folder / 'pids'
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._services: list[Service] = []
        self._environment = clean_environment(os.environ)
        self._environment[TOKEN_VARIABLE] = token
        self._environment['PYTHONUNBUFFERED'] = '1'

    def log_path(self, name: str) -> Path:
        """Return where a program's output goes."""
        return self.log_folder / f'{name}.log'

    def service(self, program: Program) -> Service:
        """Return a service for a program, not yet started."""
        service = Service(program, self)
        with self._lock:
            self._services.append(service)
        return service

    def services(self) -> list[Service]:
        """Return all services in the order of their making."""
        with self._lock:
            return list(self._services)

    def spawn(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
    ) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own, its output to ``log``.

        :raises LabClosed: the lab is being stopped.
        :raises LabError: the program cannot be started at all.
        """
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock, log.open('ab') as output:
            self._check_open()
            try:
                return subprocess.Popen(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**self._environment, **environment},
                    cwd=self.folder,
                    start_new_session=True,
                )
            except OSError as exc:
                raise errors.LabError(
                    f'Cannot start {argv[0]}: {exc.strerror}. Run '
                    'tools/bootstrap to install what is missing.'
                ) from exc

    def run(
        self,
        name: str,
        argv: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        timeout_s: float = 180.0,
    ) -> None:
        """Run a command to its end.

        :raises ProgramError: it failed, or was killed after its time.
        :raises LabClosed: the lab is being stopped; the command may run on
            until the lab's end finds it.
        """
        log = self.log_path(name)
        offset = log.stat().st_size if log.exists() else 0
        process = self.spawn(argv, environment or {}, log)
        deadline = time.monotonic() + timeout_s
        while process.poll() is None:
            if time.monotonic() > deadline:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise errors.ProgramError(
                    f'{name} took more than {timeout_s:g} s',
                    log,
                    offset=offset,
                )
            self.sleep(POLL_S / 2)
        if process.returncode:
            raise errors.ProgramError(
                f'{name} failed with exit status {process.returncode}',
                log,
                offset=offset,
            )

    def wait_for(
        self, what: str, ready: Callable[[], bool], *, timeout_s: float = 60.0
    ) -> None:
        """Wait until something is so.

        :raises LabError: it was not so in time.
        :raises LabClosed: the lab is being stopped.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            if time.monotonic() > deadline:
                raise errors.LabError(
                    f'Not so after {timeout_s:g} s: {what}. The logs are in '
                    f'{self.log_folder}.'
                )
            self.sleep(POLL_S)

    def sleep(self, seconds: float) -> None:
        """Wait a while.

        :raises LabClosed: the lab is being stopped.
        """
        self._closed.wait(seconds)
        self._check_open()

    def close(self) -> None:
        """Let nothing new start. Idempotent; stops nothing by itself."""
        # Set before the lock is asked for: whoever holds it starts one more
        # process, which the one who stops the lab then finds.
        self._closed.set()
        with self._lock:
            pass

    def reap(self) -> None:
        """Collect processes that have been ended."""
        for service in self.services():
            service.reap()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise errors.LabClosed('The lab is being stopped.')
