"""Has every line that a thread logs say which event it is about."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
from typing import Any

from oslo_context import context

from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Transition


_NONE = 'none'


class EventContext(context.RequestContext):
    """A request's context, with its event and volume.

    ``oslo.log`` writes all of it with JSON; in lines of text the option
    ``logging_context_format_string`` chooses.
    """

    def __init__(self, about: Event | Transition) -> None:
        # Kept by whoever makes it, and not for the thread before that.
        by = about.requested_by
        super().__init__(
            request_id=by.request_id or _NONE,
            user_id=by.user_id or None,
            project_id=by.project_id or None,
            resource_uuid=about.volume_id,
            overwrite=False,
        )
        # It would invent one; an id that no request has only misleads.
        self.request_id = by.request_id
        self.event_id = about.event_id
        self.volume_id = about.volume_id

    def get_logging_values(self) -> dict[str, Any]:
        """See the base."""
        values: dict[str, Any] = super().get_logging_values()
        values['event_id'] = self.event_id
        values['volume_id'] = self.volume_id
        return values


@contextlib.contextmanager
def about(what: Event | Transition) -> Iterator[None]:
    """Have this thread's lines say what they are about, in the body."""
    former = context.get_current()
    EventContext(what).update_store()
    try:
        yield
    finally:
        if former is not None:
            former.update_store()
        else:
            # As oslo.context's own fixture for tests does: there is no
            # public way to have none again.
            del context._request_store.context
