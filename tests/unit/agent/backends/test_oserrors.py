"""Errors of the operating system, and what users read of them."""

from __future__ import annotations

import errno
import unittest

from virtdc_agent.backends.oserrors import translated
from virtdc_agent import exceptions


class TestTranslated(unittest.TestCase):
    def test_every_number_has_its_family(self) -> None:
        families = {
            exceptions.BackendUnavailable: (
                *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES),
                *(errno.ESTALE, errno.ENOENT, errno.EIO, errno.ENOTCONN),
            ),
            exceptions.BackendBusy: (
                *(errno.EBUSY, errno.ETIMEDOUT, errno.ENOLCK, errno.EMFILE),
            ),
            exceptions.EventRejected: (errno.EFBIG,),
            exceptions.BackendError: (errno.EXDEV, errno.ELOOP, 4711, None),
        }
        for family, numbers in families.items():
            for number in numbers:
                with self.subTest(number=number):
                    error = OSError(number, 'words', '/secret/path')
                    with (
                        self.assertRaises(family) as caught,
                        translated('Volume 1'),
                    ):
                        raise error
                    self.assertIs(family, type(caught.exception))
                    self.assertIs(error, caught.exception.__cause__)
                    text = str(caught.exception)
                    self.assertIn('Volume 1', text)
                    self.assertNotIn('/', text)

    def test_other_errors_pass(self) -> None:
        error = exceptions.EventRejected('as it is')
        with (
            self.assertRaises(exceptions.EventRejected) as caught,
            translated('Volume 1'),
        ):
            raise error
        self.assertIs(error, caught.exception)
