"""Brings what happens in the data centre into Cinder."""

from __future__ import annotations
