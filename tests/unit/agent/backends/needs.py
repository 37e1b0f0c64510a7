"""What a test cannot do without: skipped locally, failed in CI."""

from __future__ import annotations

import os
import shutil
import unittest

QEMU = unittest.skipUnless(
    shutil.which('qemu-img') or os.environ.get('VIRTDC_REQUIRE_SERVICES'),
    'qemu-img is not installed',
)
