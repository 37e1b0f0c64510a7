"""Remembers, over restarts, what was told of which alarm to whom."""

from __future__ import annotations

from collections.abc import Mapping
import json
import logging
import os
from pathlib import Path
import threading
from typing import Any, cast

LOG = logging.getLogger(__name__)

Payload = Mapping[str, Any]


class Ledger:
    """In memory: what a listener without a file remembers.

    Safe from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, dict[str, Payload]] = {}

    def told(self, outlet: str) -> dict[str, Payload]:
        """Return what an outlet has sent last, by the ids of alarms."""
        with self._lock:
            return dict(self._told.get(outlet, {}))

    def note(self, outlet: str, alarm_id: str, payload: Payload) -> None:
        """Remember what an outlet has sent."""
        with self._lock:
            self._told.setdefault(outlet, {})[alarm_id] = payload
            self._save()

    def forget(self, outlet: str, alarm_id: str) -> None:
        """Forget an alarm, once its end was sent."""
        with self._lock:
            self._told.get(outlet, {}).pop(alarm_id, None)
            self._save()

    def _save(self) -> None:
        """Make it durable; called under the lock."""


class FileLedger(Ledger):
    """In a file of JSON, which only its owner may read.

    A file that is broken is set aside: then everything that is raised is
    told once more, with the same ids.

    :raises OSError: the folder cannot be used.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(f'{path.parent} cannot be written to')
        try:
            self._told = _read(path.read_text('utf-8'))
        except FileNotFoundError:
            pass
        except ValueError as exc:
            LOG.warning(
                'The file %s of sent alarms is broken (%s): it is set aside, '
                'and what is raised is told once more.',
                path,
                exc,
            )
            path.replace(path.with_suffix('.broken'))

    def _save(self) -> None:
        temporary = self._path.with_suffix('.new')
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640
        )
        with os.fdopen(descriptor, 'w', encoding='utf-8') as file:
            json.dump(self._told, file)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(text: str) -> dict[str, dict[str, Payload]]:
    data = json.loads(text)
    if not isinstance(data, dict) or not all(
        isinstance(told, dict)
        and all(
            isinstance(one, dict) and 'revision' in one
            for one in told.values()
        )
        for told in data.values()
    ):
        raise ValueError('it is something else')
    return cast(dict[str, dict[str, Payload]], data)
