"""What follows from what both sides say. Pure functions."""

from __future__ import annotations
