"""The data centre's alarms, and who is told of them."""

from __future__ import annotations
