"""How calls are answered: every refusal is an answer, signed where wanted.

No exception crosses the bus.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import functools
import logging
from typing import Concatenate, ParamSpec, TypeVar

from virtdc_agent.contract.errors import ContractError
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.errors import NotAuthentic
from virtdc_agent.contract.errors import UnsupportedVersion
from virtdc_agent.contract import rpc
from virtdc_agent.contract.rpc import ErrorCode
from virtdc_agent.contract import sealing
from virtdc_agent import exceptions

LOG = logging.getLogger(__name__)

Answer = dict[str, object]
P = ParamSpec('P')
S = TypeVar('S', bound='Answerer')


class Answerer:
    """What answers calls: it knows its topic, and whom to trust."""

    _topic: str
    _seal: sealing.Seal


def answered(
    method: Callable[Concatenate[S, P], Answer],
) -> Callable[Concatenate[S, Mapping[str, object], P], Answer]:
    """Drop the unused bus context, and turn exceptions into refusals.

    Where keys are shared, only what is signed is obeyed, and is answered
    with a signature.
    """
    name = method.__name__

    @functools.wraps(method)
    def answer(
        self: S,
        context: Mapping[str, object],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Answer:
        # A call that proves nothing gets no signature to use elsewhere.
        nonce = ''
        try:
            arguments, nonce = self._seal.check_call(self._topic, name, kwargs)
            found = method(self, *args, **arguments)  # type: ignore[arg-type]
        except Exception as exc:
            found = _refusal_for(name, exc).to_primitive()
        return self._seal.put_on_answer(nonce, found)

    return answer


def _refusal_for(call: str, exc: Exception) -> rpc.Refusal:
    match exc:
        case MalformedMessage():
            LOG.warning('Refused %s: %s', call, exc)
            return rpc.Refusal(
                code=ErrorCode.MALFORMED, message=str(exc), field=exc.field
            )
        case NotAuthentic():
            LOG.warning('Refused %s: %s', call, exc)
            return rpc.Refusal(
                code=ErrorCode.UNAUTHENTICATED,
                message=f'The agent does not obey this call: {exc}.',
            )
        case UnsupportedVersion() | ContractError():
            LOG.warning('Refused %s: %s', call, exc)
            return rpc.Refusal(
                code=ErrorCode.UNSUPPORTED_VERSION, message=str(exc)
            )
        case exceptions.EventConflict():
            return rpc.Refusal(code=ErrorCode.CONFLICT, message=str(exc))
        case (
            exceptions.EventNotFound()
            | exceptions.VolumeNotFound()
            | exceptions.AlarmNotFound()
            | exceptions.ResyncNotFound()
        ):
            return rpc.Refusal(code=ErrorCode.NOT_FOUND, message=str(exc))
        case exceptions.JournalUnavailable() | exceptions.BackendError():
            LOG.warning('Refused %s: %s', call, exc)
            return rpc.Refusal(code=ErrorCode.UNAVAILABLE, message=str(exc))
        case exceptions.EventRejected():
            return rpc.Refusal(code=ErrorCode.CONFLICT, message=str(exc))
        case _:
            LOG.error('Unexpected error in %s', call, exc_info=exc)
            return rpc.Refusal(
                code=ErrorCode.INTERNAL,
                message=f'The agent met an unexpected error in {call}; its '
                'log has the details.',
            )
