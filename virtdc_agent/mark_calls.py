"""Answers the calls of ``contract.rpc`` on marks."""

from __future__ import annotations

from virtdc_agent.answering import Answer
from virtdc_agent.answering import answered
from virtdc_agent.answering import Answerer
from virtdc_agent.contract.errors import MalformedMessage
from virtdc_agent.contract.fields import Reader
from virtdc_agent.contract import rpc
from virtdc_agent import interfaces


class MarkCalls(Answerer):
    """The calls on marks. Safe from any thread."""

    _marks: interfaces.Marks

    @answered
    def take_mark(
        self, name: object = None, holder: object = None, lease_s: object = 60
    ) -> Answer:
        """Let somebody do what nobody else is to do meanwhile."""
        reader = Reader(
            {'name': name, 'holder': holder, 'lease_s': lease_s}, ''
        )
        mark = self._marks.take_mark(
            *_whose(reader),
            reader.integer('lease_s', minimum=1, maximum=rpc.MAX_LEASE_S),
        )
        return {
            'is_granted': mark.is_granted,
            'is_settled': mark.is_settled,
            'wait_s': mark.wait_s,
        }

    @answered
    def settle_mark(
        self, name: object = None, holder: object = None
    ) -> Answer:
        """Note that it is done, once and for all."""
        reader = Reader({'name': name, 'holder': holder}, '')
        self._marks.settle_mark(*_whose(reader))
        return {}


def _whose(reader: Reader) -> tuple[str, str]:
    name = reader.text('name', max_length=rpc.MAX_MARK)
    holder = reader.text('holder', max_length=rpc.MAX_MARK)
    for field, text in (('name', name), ('holder', holder)):
        if not text:
            raise MalformedMessage(field, 'must not be empty')
    return name, holder
