"""The calls that the agent answers, and the shape of an answer.

================= ========================= ===================================
call              arguments                 answer (all plain JSON)
================= ========================= ===================================
submit            ``event``: an envelope    ``item``: a transition
get_events        ``event_ids``: list       ``items``: transitions; unknown
                                            events are left out
get_changes       ``after``, ``limit``      ``items``: transitions in order,
                                            ``oldest``, ``last``, ``resync``:
                                            the number of a comparison that
                                            somebody waits for, or null
cancel            ``event_id``              ``item``: a transition
get_volumes       ``marker``, ``limit``     ``items``: volumes, ``next``
get_volume        ``volume_id``             ``item``: a volume
get_trash         ``marker``, ``limit``     ``items``: trashed volumes, by
                                            volume id, ``next``
get_alarms        ``marker``, ``limit``     ``items``: raised alarms, ``next``,
                                            ``revision``: the latest of the
                                            journal's alarms
raise_alarm       ``kind``, ``subject``,    ``item``: the alarm; ``change``: an
                  ``severity``,             alarm change, or null if it was
                  ``message``, ``details``  raised with the same content
acknowledge_alarm ``kind``, ``subject``,    ``item``: the alarm
                  ``by``, ``comment``
clear_alarm       ``kind``, ``subject``     ``cleared``: whether it was raised
get_snapshots     ``volume_id`` or null,    ``items``: snapshots, ``next``;
                  ``marker``, ``limit``     since 1.2
get_manageable    ``marker``, ``limit``     ``items``: manageables in order of
                                            their references, ``next``; since
                                            1.2
get_manageable    ``reference``             ``items``: the one, or none
take_mark         ``name``, ``holder``,     ``is_granted``; if it is not:
                  ``lease_s``               ``is_settled``, or for how long
                                            another has it, ``wait_s``
settle_mark       ``name``, ``holder``      nothing; it is done for good
take_resync       ``listener``,             ``item``: the comparison that it is
                  ``lease_s``               to make, or null
end_resync        ``number``, ``counts``,   ``item``: the comparison
                  ``listener``
get_capacity      none                      ``item``: a capacity
get_connection    ``volume_id``, ``host``   ``connection``: as Cinder's
                                            ``initialize_connection`` returns
================= ========================= ===================================

The calls on alarms and the trash, and ``get_volume``, are since 1.2: an agent
that does not declare the operation ``edit`` does not have them. A marker
is what ``next`` said, or nothing at first; ``next`` is null at the end.

With marks those who could do the same agree on who does it, and that it is
done. They are since 1.2 too; of an agent that does not know the calls, each
does it.

Where the two sides share a key, a call has also a ``signature`` among its
arguments, and an answer one among its fields: see ``contract.signing``.

``get_manageable_snapshots`` is as ``get_manageable``, for snapshots. Both
take ``pool`` too, null for the agent's first, and are asked only of an agent
that has declared ``manage`` or ``manage_snapshot``.

A refusal is an answer too, never an exception over the bus: ``error`` with
``code``, ``message`` and, for a malformed message, ``field``.
"""

from __future__ import annotations

import dataclasses
import enum

from virtdc_agent.contract.fields import clean_text
from virtdc_agent.contract.fields import Reader

MAX_IDS = 1000
"""Most events in one ``get_events``."""
MAX_PAGE = 1000
"""Most items in one page."""
MAX_MARK = 255
"""Most characters of a mark's name, and of its holder's."""
MAX_LEASE_S = 86400
"""Longest that a mark may be held without being settled."""


class ErrorCode(enum.StrEnum):
    """Why a call was refused."""

    MALFORMED = 'malformed'
    UNSUPPORTED_VERSION = 'unsupported_version'
    CONFLICT = 'conflict'
    """The event id is taken by a different event."""
    NOT_FOUND = 'not_found'
    UNAVAILABLE = 'unavailable'
    """The agent cannot take it now; ask again later with the same id."""
    INTERNAL = 'internal'
    UNAUTHENTICATED = 'unauthenticated'
    """The call is not signed as the agent asks for. Since 1.2."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The content of ``error`` in an answer."""

    code: ErrorCode
    message: str
    field: str = ''

    def to_primitive(self) -> dict[str, object]:
        """Return the answer that carries this refusal."""
        return {
            'error': {
                'code': self.code.value,
                # An error's text may be anything, and must arrive.
                'message': clean_text(self.message),
                'field': clean_text(self.field),
            }
        }

    @classmethod
    def from_answer(cls, answer: object) -> Refusal | None:
        """Return the refusal that an answer carries, if it carries one.

        :raises MalformedMessage: the answer is not an answer.
        """
        reader = Reader(answer, 'answer')
        if not reader.has('error'):
            return None
        error = reader.child('error')
        return cls(
            code=error.choice('code', ErrorCode),
            message=error.text('message'),
            field=error.text('field', default=''),
        )
