"""The way to the agent: calls, notifications, the ends of events."""

from __future__ import annotations
