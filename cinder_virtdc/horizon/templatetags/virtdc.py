"""The alarms above the page of a volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import template

from cinder_virtdc.horizon import alarms
from cinder_virtdc.horizon import asking
from cinder_virtdc.horizon import links
from cinder_virtdc.rest_client import ApiError
from cinder_virtdc.sync import properties

register = template.Library()


@register.inclusion_tag('virtdc/_alarms.html', takes_context=True)
def volume_alarms(
    context: Mapping[str, Any], volume: Any
) -> Mapping[str, Any]:
    """Say which alarms are raised for a volume of Cinder.

    Who may not list the alarms of the data centre is told what the cloud
    says of the volume.
    """
    request = context['request']
    if not request.user.has_perm(asking.PERMISSION):
        return {}
    try:
        centre = asking.data_centre(request)
        if 'alarms:list' not in centre.may:
            return {'told': _told(volume)}
        found = asking.alarm_rows(request, centre.alarms(volume.id))
    except ApiError as exc:
        return {'problem': str(exc), 'told': _told(volume)}
    return {
        'alarms': [(one, links.acknowledge(one, request)) for one in found]
    }


def _told(volume: Any) -> alarms.ToldAlarm | None:
    said = volume.metadata
    kind = said.get(properties.ALARM)
    if not kind:
        return None
    return alarms.told_alarm(kind, said.get(properties.ALARM_MESSAGE, ''))
