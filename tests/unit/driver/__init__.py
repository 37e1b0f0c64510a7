from __future__ import annotations

from cinder import objects

# Other modules of Cinder cannot be imported before.
objects.register_all()
