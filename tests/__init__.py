"""The tests. How fast a machine is, is not among what they find out."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile(
    'virtdc',
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile('virtdc')
