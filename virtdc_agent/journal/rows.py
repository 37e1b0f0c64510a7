"""Between the journal's texts and the contract's values.

What stands in the journal is what travels: the same codec, the same rules.
"""

from __future__ import annotations

import json

from virtdc_agent.contract import codec
from virtdc_agent.contract.events import Event
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.events import Volume


def event_text(event: Event) -> str:
    """Write an event such that equal events give equal texts."""
    return json.dumps(codec.encode(event), sort_keys=True)


def event_from(text: str) -> Event:
    """Read an event."""
    return codec.decode(json.loads(text), Event)


def transition_from(text: str) -> Transition:
    """Read a transition."""
    return codec.decode(json.loads(text), Transition)


def volume_from(text: str) -> Volume:
    """Read a volume."""
    return codec.decode(json.loads(text), Volume)
