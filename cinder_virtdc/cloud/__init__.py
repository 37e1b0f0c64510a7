"""Cinder, as the listener needs it."""

from __future__ import annotations
