"""Who used the processor."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import os
from pathlib import Path
import time

from tools.lab import stack

_TICKS = os.sysconf('SC_CLK_TCK')


def processor_s(lab: stack.Lab) -> Mapping[str, float]:
    """Return the processor time of each service so far, in seconds.

    With that of all its children, but for those that have ended and were not
    waited for.
    """
    family = _children()
    return {
        service.name: sum(_used_s(pid) for pid in _tree(service.pid, family))
        for service in lab.supervisor.services()
        if service.is_running()
    }


def settle(lab: stack.Lab, *names: str) -> None:
    """Wait until some services have had next to nothing to do for a while."""
    idle, last = 0, _sum(lab, names)
    while idle < 3:
        time.sleep(0.5)
        now = _sum(lab, names)
        idle = idle + 1 if now - last < 0.05 else 0
        last = now


def _sum(lab: stack.Lab, names: Sequence[str]) -> float:
    used = processor_s(lab)
    return sum(used[name] for name in names)


def _tree(pid: int, family: Mapping[int, list[int]]) -> Iterator[int]:
    yield pid
    for child in family.get(pid, ()):
        yield from _tree(child, family)


def _children() -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = {}
    for folder in Path('/proc').iterdir():
        if folder.name.isdecimal() and (fields := _fields(int(folder.name))):
            found.setdefault(int(fields[1]), []).append(int(folder.name))
    return found


def _used_s(pid: int) -> float:
    fields = _fields(pid)
    # Own time in both modes, and that of the children that have ended.
    return sum(int(field) for field in fields[11:15]) / _TICKS


def _fields(pid: int) -> list[str]:
    """Return what follows the name in a process's ``stat``; see proc(5)."""
    try:
        text = Path(f'/proc/{pid}/stat').read_text(encoding='ascii')
    except OSError:
        return []
    return text.rpartition(')')[2].split()
