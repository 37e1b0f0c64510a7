"""cinder-volume without eventlet."""

from __future__ import annotations

import functools

from tests.functional import base
from tools.lab import stack


@functools.cache
def native_lab() -> stack.Lab:
    """Return a cloud of its own."""
    return base.start(base.settings(native_threads=True))


class TestNativeThreads(base.CloudCase):
    def get_lab(self) -> stack.Lab:
        return native_lab()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        native_lab().down()

    def test_a_whole_life(self) -> None:
        ids = [self.create(f'native-{index}') for index in range(8)]
        for volume_id in ids:
            self.wait(volume_id, state='success')
        self.act(ids[0], 'os-extend', new_size=2)
        shown = self.wait(ids[0], operation='extend', state='success')
        self.assertEqual(2, shown['size'])
        for volume_id in ids:
            self.cloud.delete(f'/volumes/{volume_id}')
        self.wait_gone(*ids)
        self.assertEqual([], list(self.pool.glob('volume-*')))
