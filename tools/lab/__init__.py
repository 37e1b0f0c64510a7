"""A real OpenStack on one machine, for the demo, the tests and the bench.

Everything listens on loopback, keeps its data in one run folder and is
stopped by its process id. Begin with :class:`tools.lab.stack.Lab`.
"""

from __future__ import annotations
