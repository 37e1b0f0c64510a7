"""Markers of pages: where the next one begins, as clients carry it.

A marker holds the last item's place in the order, so that it stays good when
that item is gone. What it says is ours alone.
"""

from __future__ import annotations

import base64
import binascii
import json

from virtdc_agent.api import problems
from virtdc_agent import model


def write_marker(
    place: model.Place | None, sort: model.VolumeSort
) -> str | None:
    """Return a place as a text; ``None``: there is no more."""
    if place is None:
        return None
    text = json.dumps([sort.value, place.value, place.volume_id])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')


def read_marker(
    marker: str | None, sort: model.VolumeSort
) -> model.Place | None:
    """Return the place that a marker says.

    :raises Problem: it is none, or of another order.
    """
    if marker is None:
        return None
    try:
        padded = marker + '=' * (-len(marker) % 4)
        parts = json.loads(base64.urlsafe_b64decode(padded).decode())
        order, value, volume_id = parts
        if not isinstance(volume_id, str) or not isinstance(value, sort.kind):
            raise ValueError('not ours')
    except (ValueError, TypeError, binascii.Error, RecursionError) as exc:
        raise problems.invalid(
            'marker', 'must be the next_marker of a page'
        ) from exc
    if order != sort.value:
        raise problems.invalid(
            'marker', f'is of a page in another order, {str(order)[:32]}'
        )
    return model.Place(value=value, volume_id=volume_id)


def read_number(marker: str | None) -> int | None:
    """Return the number that a marker of events says.

    :raises Problem: it says none.
    """
    if marker is None:
        return None
    if not marker.isascii() or not marker.isdigit() or len(marker) > 18:
        raise problems.invalid('marker', 'must be the next_marker of a page')
    return int(marker)
