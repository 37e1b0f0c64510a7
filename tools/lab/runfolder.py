"""The run folder: what a lab notes of itself, and how it is ended by that.

All that is needed to stop a lab stands here, so that any process can do it:
the one that started it, its guard, or ``--stop`` a day later.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import json
from pathlib import Path
import shutil
import subprocess

from tools.lab import configuration
from tools.lab import errors
from tools.lab import processes

STATE_FILE = 'lab.json'
_LONGEST = 80
"""Unix sockets below it have names of at most 107 bytes."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a lab notes of itself."""

    token: str
    """Marks its processes; empty once it is stopped."""
    mounts: tuple[str, ...] = ()
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What a shell exports to use the cloud."""
    addresses: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Where its services answer."""

    def write(self, folder: Path) -> None:
        """Write it to a run folder."""
        content = json.dumps(dataclasses.asdict(self), indent=2)
        configuration.write(folder / STATE_FILE, content + '\n')

    @classmethod
    def read(cls, folder: Path) -> State | None:
        """Read it from a run folder; ``None`` if that never was one."""
        try:
            text = (folder / STATE_FILE).read_text(encoding='utf-8')
        except FileNotFoundError:
            return None
        try:
            content = json.loads(text)
            return cls(
                token=str(content['token']),
                mounts=tuple(content['mounts']),
                environment=dict(content['environment']),
                addresses=dict(content['addresses']),
            )
        except (ValueError, KeyError, TypeError) as exc:
            raise errors.LabError(
                f'{folder / STATE_FILE} is not what a lab writes: {exc}'
            ) from exc


def prepare(folder: Path) -> Path:
    """Make a folder ready for a new lab, and return its real path.

    A folder of a stopped lab is emptied; one that a killed lab left is
    cleaned up first.

    :raises LabError: a lab runs there, the folder holds something else, or
        its name does not do.
    """
    folder = folder.expanduser().resolve()
    if len(str(folder)) > _LONGEST or any(c.isspace() for c in str(folder)):
        raise errors.LabError(
            f'The run folder {folder} must have a name of at most {_LONGEST} '
            'characters (sockets are made below it) and no blanks.'
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    state = State.read(folder)
    if state is None:
        if any(folder.iterdir()):
            raise errors.LabError(
                f'{folder} is not empty and no lab made it; choose another '
                'run folder.'
            )
        return folder
    running = [
        record.name
        for record in processes.read_records(folder / 'pids')
        if record.identity.is_alive()
    ]
    if running:
        raise errors.LabError(
            f'A lab already runs in {folder} ({", ".join(running)}); stop it '
            'first.'
        )
    take_down(folder)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return folder


def take_down(folder: Path) -> list[str]:
    """End everything that a lab started: processes, then mounts.

    Idempotent, and right after any interruption. Logs and data stay.

    :returns: names of the processes that had to be killed.
    :raises LabError: something is still mounted.
    """
    state = State.read(folder)
    if state is None:
        return []
    pids = folder / 'pids'
    killed = processes.end(processes.read_records(pids))
    processes.sweep(state.token)
    for mount in state.mounts:
        unmount(Path(mount))
    if pids.exists():
        shutil.rmtree(pids)
    dataclasses.replace(state, token='', mounts=()).write(folder)
    return killed


def unmount(target: Path) -> None:
    """Take a mount away if it is there.

    :raises LabError: it is still there.
    """
    if not is_mounted(target):
        return
    done = subprocess.run(
        ['umount', str(target)], capture_output=True, text=True, check=False
    )
    if is_mounted(target):
        raise errors.LabError(
            f'{target} is still mounted: {done.stderr.strip()}. Nothing below '
            'it was removed.'
        )


def is_mounted(target: Path) -> bool:
    """Say whether something is mounted at a path."""
    mounts = Path('/proc/self/mounts').read_text(encoding='utf-8')
    wanted = str(target).replace(' ', '\\040')
    return any(line.split()[1] == wanted for line in mounts.splitlines())
