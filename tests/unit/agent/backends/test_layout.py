"""Names that cannot leave the folder, and labels that say what they said."""

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies

from virtdc_agent.backends.label import Label
from virtdc_agent.backends import layout
from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import Provisioning
from virtdc_agent.contract.fields import IDENTIFIER
from virtdc_agent import exceptions

OWN = (layout.IDENTITY, layout.LABELS, layout.TEMPORARY, layout.TRASH)
IDENTIFIERS = strategies.from_regex(IDENTIFIER, fullmatch=True)


class TestLayout(unittest.TestCase):
    @given(strategies.text() | IDENTIFIERS)
    def test_only_what_the_contract_admits_becomes_a_name(
        self, text: str
    ) -> None:
        if IDENTIFIER.fullmatch(text):
            layout.check_identifier(text)
            self.assertEqual(
                text, layout.volume_id_of(layout.volume(text).file)
            )
        else:
            with self.assertRaises(exceptions.EventRejected):
                layout.check_identifier(text)
            self.assertIsNone(layout.volume_id_of(layout.volume(text).file))

    @given(IDENTIFIERS, IDENTIFIERS, strategies.integers(1, 2**31))
    def test_no_name_leaves_the_folder_or_meets_its_parts(
        self, volume_id: str, event_id: str, attempt: int
    ) -> None:
        scratch = layout.scratch_name(volume_id, event_id, attempt)
        for name in (volume_id, layout.volume(volume_id).file, scratch):
            self.assertNotIn('/', name)
            self.assertNotIn('\0', name)
            self.assertNotIn(name, ('.', '..', *OWN))
            self.assertLessEqual(len(f'{name}.label'.encode()), 255)

    def test_other_files_are_not_volumes(self) -> None:
        for name in (*OWN, 'volume-', 'volume-.x', 'lost+found', 'volume'):
            self.assertIsNone(layout.volume_id_of(name), name)


class TestLabel(unittest.TestCase):
    @given(
        event_id=IDENTIFIERS,
        inode=strategies.integers(0, 2**64 - 1),
        format_=strategies.sampled_from(Format),
        provisioning=strategies.sampled_from(Provisioning),
    )
    def test_comes_back_as_it_was(
        self,
        event_id: str,
        inode: int,
        format_: Format,
        provisioning: Provisioning,
    ) -> None:
        label = Label(
            event_id=event_id,
            inode=inode,
            format=format_,
            provisioning=provisioning,
        )
        self.assertEqual(label, Label.from_bytes(label.to_bytes()))

    @given(strategies.binary())
    def test_whatever_else_is_there_is_refused(self, content: bytes) -> None:
        with self.assertRaises(ValueError):
            Label.from_bytes(content)

    def test_other_versions_and_values_are_refused(self) -> None:
        whole = Label(
            event_id='e',
            inode=1,
            format=Format.RAW,
            provisioning=Provisioning.THIN,
        ).to_bytes()
        for old, new in (
            (b'"version": 1', b'"version": 2'),
            (b'"raw"', b'"vmdk"'),
            (b'"inode": 1', b'"inode": "1"'),
            (b'"event_id"', b'"event"'),
        ):
            self.assertIn(old, whole)
            with self.assertRaises(ValueError):
                Label.from_bytes(whole.replace(old, new))
