"""The form by which an alarm is acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import forms
from horizon import messages

from cinder_virtdc.horizon import asking
from cinder_virtdc.rest_client import ApiError


class AcknowledgeForm(forms.SelfHandlingForm):
    """A comment; which alarm it is about, the address says."""

    comment = forms.CharField(
        label=_('Comment'),
        max_length=1024,
        required=False,
        widget=forms.Textarea(attrs={'rows': 4}),
        help_text=_('For others: who looks after it, and how far you are.'),
    )

    def handle(self, request: Any, data: Mapping[str, str]) -> bool:
        """Acknowledge it; a refusal stands in the form."""
        try:
            asking.data_centre(request).acknowledge(
                self.initial['kind'], self.initial['subject'], data['comment']
            )
        except ApiError as exc:
            self.api_error(str(exc))
            return False
        messages.success(request, _('The alarm is acknowledged.'))
        return True
