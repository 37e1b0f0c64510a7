"""Puts signatures on what is sent, and takes only what has one.

What a signature is stands in ``signing``.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Mapping
import datetime
import secrets
import threading
from typing import Protocol

from virtdc_agent.contract.errors import NotAuthentic
from virtdc_agent.contract.rpc import ErrorCode
from virtdc_agent.contract.signing import Keyring
from virtdc_agent.contract.signing import Signature

FIELD = 'signature'
"""Name of the argument, or of the field, that holds a signature."""

WINDOW_S = 60.0
"""How far a call's time may be from ours. Clocks must agree that well."""


class Keys(Protocol):
    """Where the keys come from that are valid now."""

    def current(self) -> Keyring:
        """Return them. Cheap, safe from any thread, never raises."""


class Seal:
    """Signs and checks what one side sends and takes.

    :param keys: ``None``: nothing is signed, and nothing has to be.
    :param accepts_unsigned: take also what has no signature: for the time
        in which one side after the other is given its keys.
    :param now: the time of day.
    """

    def __init__(
        self,
        keys: Keys | None = None,
        *,
        accepts_unsigned: bool = False,
        now: Callable[[], datetime.datetime] = (
            lambda: datetime.datetime.now(datetime.UTC)
        ),
    ) -> None:
        self._keys = keys
        self._accepts_unsigned = accepts_unsigned
        self._now = now
        self._replays = ReplayGuard(WINDOW_S)

    def put_on_call(
        self, topic: str, method: str, arguments: Mapping[str, object]
    ) -> tuple[dict[str, object], str]:
        """Return a call's arguments, signed, and the nonce to answer to."""
        if self._keys is None:
            return dict(arguments), ''
        nonce = secrets.token_hex(16)
        signature = self._keys.current().sign(
            f'call:{topic}:{method}', arguments, at=self._now(), nonce=nonce
        )
        return {**arguments, FIELD: signature}, nonce

    def check_call(
        self, topic: str, method: str, arguments: Mapping[str, object]
    ) -> tuple[dict[str, object], str]:
        """Return a call's arguments without signature, and its nonce.

        :raises NotAuthentic: it is not to be obeyed.
        """
        bare = {key: arguments[key] for key in arguments if key != FIELD}
        signature = self._check(
            f'call:{topic}:{method}', bare, arguments.get(FIELD)
        )
        if signature is None:
            return bare, ''
        self._replays.admit(signature, self._now())
        return bare, signature.nonce

    def put_on_answer(
        self, nonce: str, answer: Mapping[str, object]
    ) -> dict[str, object]:
        """Return the signed answer to the call with this nonce."""
        if self._keys is None or not nonce:
            return dict(answer)
        return self._put(f'answer:{nonce}', answer)

    def check_answer(self, nonce: str, answer: object) -> object:
        """Return an answer without its signature.

        One without that says that the call was not signed well is let pass:
        it tells what to do, and nobody gains by making it up.

        :raises NotAuthentic: it is not the agent's, or not to this call.
        """
        if self._keys is None or not isinstance(answer, Mapping):
            return answer
        bare = {key: answer[key] for key in answer if key != FIELD}
        signature = answer.get(FIELD)
        if signature is None and _says_unauthenticated(bare):
            return bare
        self._check(f'answer:{nonce}', bare, signature)
        return bare

    def put_on_notification(
        self, topic: str, envelope: Mapping[str, object]
    ) -> dict[str, object]:
        """Return a notification's envelope, signed."""
        if self._keys is None:
            return dict(envelope)
        return self._put(f'notification:{topic}', envelope)

    def check_notification(self, topic: str, payload: object) -> object:
        """Return a notification's envelope without its signature.

        One that comes late or again is fine: its sequence tells it.

        :raises NotAuthentic: it is not the agent's.
        """
        if self._keys is None or not isinstance(payload, Mapping):
            return payload
        bare = {key: payload[key] for key in payload if key != FIELD}
        self._check(f'notification:{topic}', bare, payload.get(FIELD))
        return bare

    def _put(
        self, purpose: str, content: Mapping[str, object]
    ) -> dict[str, object]:
        if self._keys is None:
            raise AssertionError('nothing to sign with')
        signature = self._keys.current().sign(purpose, content, at=self._now())
        return {**content, FIELD: signature}

    def _check(
        self, purpose: str, content: object, signature: object
    ) -> Signature | None:
        if self._keys is None:
            return None
        if signature is None and self._accepts_unsigned:
            return None
        return self._keys.current().check(purpose, content, signature)


class ReplayGuard:
    """Takes each call once, and only while it is fresh.

    It remembers the nonces of a window, in one process. Among several agents
    a call can be repeated once at each, and after a restart, within the
    window: all calls of the contract may be repeated without effect.

    :param window_s: how far the time of a call may be from ours.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._order: collections.deque[tuple[datetime.datetime, str]] = (
            collections.deque()
        )

    @property
    def remembered(self) -> int:
        """How many calls are remembered."""
        with self._lock:
            return len(self._seen)

    def admit(self, signature: Signature, now: datetime.datetime) -> None:
        """Take a call.

        :raises NotAuthentic: it came before, or its time is not now.
        """
        off_s = abs((now - signature.at).total_seconds())
        if off_s > self._window_s:
            raise NotAuthentic(
                f'it was made {off_s:.0f} s from now by the clock here, more '
                f'than {self._window_s:.0f} s: set the clocks, or somebody '
                'repeats it'
            )
        with self._lock:
            # What came in so long ago is refused for its time by now.
            forgotten = now - datetime.timedelta(seconds=2 * self._window_s)
            while self._order and self._order[0][0] < forgotten:
                self._seen.discard(self._order.popleft()[1])
            if signature.nonce in self._seen:
                raise NotAuthentic('somebody repeats it')
            self._seen.add(signature.nonce)
            self._order.append((now, signature.nonce))


def _says_unauthenticated(answer: Mapping[str, object]) -> bool:
    error = answer.get('error')
    return (
        isinstance(error, Mapping)
        and error.get('code') == ErrorCode.UNAUTHENTICATED.value
    )
