"""What counts as edited by a user."""

from __future__ import annotations

import unittest

from cinder_virtdc.sync import edits


class TestFields(unittest.TestCase):
    def said(self, **properties: str) -> edits.Fields:
        return edits.fields_of_cloud(
            name='n', description='', properties=properties, volume_type=''
        )

    def test_what_cinder_shows_of_attachments_is_no_edit(self) -> None:
        self.assertEqual(
            self.said(mine='1'),
            self.said(mine='1', readonly='False', attached_mode='rw'),
        )

    def test_nor_is_it_a_key_of_the_data_centres(self) -> None:
        for key in edits.CINDERS_OWN:
            self.assertFalse(edits.is_showable(key))
        self.assertTrue(edits.is_showable('mine'))
