"""Answers the calls of ``contract.rpc`` on comparisons asked for."""

from __future__ import annotations

from collections.abc import Mapping

from virtdc_agent.answering import Answer
from virtdc_agent.answering import answered
from virtdc_agent.answering import Answerer
from virtdc_agent.contract import codec
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract.pieces import MAX_NAME
from virtdc_agent.contract.pieces import MAX_SEQUENCE
from virtdc_agent.contract import resync_codec
from virtdc_agent.contract import rpc
from virtdc_agent import interfaces


class ResyncCalls(Answerer):
    """The calls on comparisons. Safe from any thread."""

    _resyncs: interfaces.Resyncs

    @answered
    def take_resync(
        self, listener: object = None, lease_s: object = 300
    ) -> Answer:
        """Let a listener compare, if somebody has asked for it."""
        reader = Reader({'listener': listener, 'lease_s': lease_s}, '')
        taken = self._resyncs.take_resync(
            _listener(reader),
            reader.integer('lease_s', minimum=1, maximum=rpc.MAX_LEASE_S),
        )
        return {'item': None if taken is None else codec.encode(taken)}

    @answered
    def end_resync(
        self,
        number: object = None,
        listener: object = None,
        counts: object = None,
    ) -> Answer:
        """Note what a listener has found."""
        reader = Reader(
            {'number': number, 'listener': listener, 'counts': counts}, ''
        )
        found: Mapping[str, int] = resync_codec.counts_from(
            reader.child('counts')
        )
        return {
            'item': codec.encode(
                self._resyncs.end_resync(
                    reader.integer('number', minimum=1, maximum=MAX_SEQUENCE),
                    _listener(reader),
                    found,
                )
            )
        }


def _listener(reader: Reader) -> str:
    name = reader.text('listener', max_length=MAX_NAME)
    if not name:
        raise MalformedMessage('listener', 'must not be empty')
    return name
