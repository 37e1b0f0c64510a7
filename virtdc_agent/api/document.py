"""Prints the API's document: ``python -m virtdc_agent.api.document``."""

from __future__ import annotations

import json
import sys
from typing import Any, cast

from virtdc_agent.api import app
from virtdc_agent.api.openapi import Document
from virtdc_agent.api.platform import Platform


def text() -> str:
    """Return the document as it is committed."""
    # Routes only keep the platform, for requests that nobody makes here.
    (*_, last) = app.list_routes(cast(Platform, None))
    document: Any = last.resource
    if not isinstance(document, Document):
        raise AssertionError('the last route is the document')
    return json.dumps(document.document, indent=2) + '\n'


if __name__ == '__main__':
    sys.stdout.write(text())
