"""Carries calls to the agent over oslo.messaging, each bounded in time."""

from __future__ import annotations

from collections.abc import Mapping
import logging
import threading
from typing import Protocol

import oslo_messaging

from cinder_virtdc import exceptions
from virtdc_agent.contract.errors import ContractError
from virtdc_agent.contract import sealing
from virtdc_agent.contract import topics

LOG = logging.getLogger(__name__)

MAX_CALLS = 64
"""Calls under way at once: as many as Cinder's threads for one backend."""

_MISMATCHES = frozenset({'UnsupportedVersion', 'NoSuchMethod'})
"""Names of these exceptions when they come from another process."""


class Caller(Protocol):
    """Puts one question to the agent."""

    def call(
        self, method: str, arguments: Mapping[str, object], timeout_s: float
    ) -> object:
        """Ask, and return the answer as it came. Safe from any thread.

        :raises AgentUnreachable: no answer came in time.
        :raises ContractMismatch: the agent does not know this call.
        :raises NotTrusted: the answer is not signed by the agent.
        """


class BusCaller:
    """Calls over a message bus.

    While its broker is away, oslo.messaging waits without end for a
    connection, whatever timeout it was given. So each call has a thread of
    its own, and who called stops waiting when the time is over; the thread
    ends when the broker is back. In a process that eventlet has patched
    these are green threads.
    """

    def __init__(
        self,
        transport: oslo_messaging.Transport,
        *,
        topic: str,
        seal: sealing.Seal | None = None,
    ) -> None:
        self._topic = topic
        self._seal = seal or sealing.Seal()
        self._free = threading.BoundedSemaphore(MAX_CALLS)
        self._client = oslo_messaging.get_rpc_client(
            transport,
            oslo_messaging.Target(
                exchange=topics.EXCHANGE,
                topic=topic,
                version=topics.RPC_VERSION,
            ),
        )

    def call(
        self, method: str, arguments: Mapping[str, object], timeout_s: float
    ) -> object:
        """See the protocol."""
        if not self._free.acquire(timeout=timeout_s):
            raise self._unreachable('the message bus does not take messages')
        call = _Call()
        signed, nonce = self._seal.put_on_call(self._topic, method, arguments)

        def run() -> None:
            try:
                call.answer = self._client.prepare(
                    timeout=timeout_s, retry=1
                ).call({}, method, **signed)
            except Exception as exc:
                # Told to whoever waits, in their own thread.
                call.error = exc
            finally:
                self._free.release()
                call.ended.set()

        threading.Thread(
            target=run, name=f'virtdc-call-{method}', daemon=True
        ).start()
        # The library's own time-out is told more precisely: let it be first.
        if not call.ended.wait(timeout_s + 0.5):
            raise self._unreachable('the message bus cannot be reached')
        if call.error is not None:
            raise self._translate(call.error) from call.error
        try:
            return self._seal.check_answer(nonce, call.answer)
        except ContractError as exc:
            raise exceptions.NotTrusted(
                f'An answer on topic {self._topic} is not the VirtDC '
                f"agent's: {exc}. Both sides must have the same file of keys."
            ) from exc

    def _translate(self, error: Exception) -> exceptions.VirtDCError:
        match error:
            case oslo_messaging.MessagingTimeout():
                return self._unreachable('it gave no answer in time')
            case (
                oslo_messaging.UnsupportedVersion()
                | oslo_messaging.NoSuchMethod()
            ):
                return self._mismatch(str(error))
            case oslo_messaging.RemoteError() if error.exc_type in _MISMATCHES:
                return self._mismatch(str(error.value))
            case oslo_messaging.RemoteError():
                return self._unreachable(f'it failed with {error.exc_type}')
            case _:
                # The errors of the driver and of the libraries below it have
                # no common root; all mean that nothing was answered.
                return self._unreachable(
                    f'the message bus failed ({type(error).__name__}: {error})'
                )

    def _mismatch(self, why: str) -> exceptions.ContractMismatch:
        return exceptions.ContractMismatch(
            f'The VirtDC agent on topic {self._topic} does not speak version '
            f'{topics.RPC_VERSION} of the calls: upgrade the older side '
            f'({why}).'
        )

    def _unreachable(self, why: str) -> exceptions.AgentUnreachable:
        return exceptions.AgentUnreachable(
            f'The VirtDC agent on topic {self._topic} cannot be asked: {why}. '
            'Check that virtdc-agent runs and that both sides name the same '
            'broker, virtual host and topic.'
        )


class _Call:
    """What became of one call."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.answer: object = None
        self.error: Exception | None = None
