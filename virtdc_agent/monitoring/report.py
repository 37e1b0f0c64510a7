"""A Guru Meditation Report: all that a process knows of itself, on demand."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import datetime
import logging
import os
import re
import sys
from typing import Any

from oslo_config import cfg
from oslo_reports import guru_meditation_report
from oslo_reports.models import with_default_views
from oslo_reports import opts
from oslo_reports.views.text import generic
from oslo_utils import strutils

LOG = logging.getLogger(__name__)

_PASSWORD = re.compile(r'(\w://[^:/@\s]*):[^@/\s]+@')

Section = Callable[[], Mapping[str, Any]]


class _Version:
    def __init__(self, product: str, version: str) -> None:
        self._product = product
        self._version = version

    def vendor_string(self) -> str:
        return 'VirtDC developers'

    def product_string(self) -> str:
        return self._product

    def version_string_with_package(self) -> str:
        return self._version


class Report:
    """Writes reports, to stderr or into a folder.

    Not to be made in a handler of signals: it takes locks.

    :param product: name of the program.
    :param sections: what the program has to say, by title.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        *,
        product: str,
        version: str,
        sections: Mapping[str, Section],
    ) -> None:
        self._conf = conf
        self._product = product
        self._version = _Version(product, version)
        self._sections = sections

    def write(self) -> None:
        """Write one now. What goes wrong is logged."""
        try:
            text = self.make()
            folder: str | None = self._conf.oslo_reports.log_dir
            if folder is None:
                print(text, file=sys.stderr, flush=True)
                return
            now = datetime.datetime.now(datetime.UTC)
            path = os.path.join(
                folder, f'{self._product}_gurumeditation_{now:%Y%m%d%H%M%S%f}'
            )
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(path, flags, 0o600), 'w') as file:
                file.write(text)
            LOG.info('A report of this process is in %s.', path)
        except Exception:
            LOG.exception('No report of this process can be written')

    def make(self) -> str:
        """Return a report, without secrets."""
        # Of its own: the library keeps sections at the class.
        kind: Any = type(
            'Report',
            (guru_meditation_report.TextGuruMeditation,),
            {'persistent_sections': []},
        )
        for title, section in self._sections.items():
            kind.register_section(title, _generator(section))
        return mask(kind(self._version).run())


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make the options of reports known to ``conf``. Idempotent."""
    opts.set_defaults(conf)


def mask(text: str) -> str:
    """Return a text without what looks like a password.

    Options that are secret are not in it in the first place; this is for
    what is part of others.
    """
    return str(strutils.mask_password(_PASSWORD.sub(r'\1:***@', text)))


def _generator(section: Section) -> Callable[[], Any]:
    def generate() -> Any:
        try:
            content = dict(section())
        except Exception as exc:
            # The rest is worth the more.
            content = {'cannot be said': repr(exc)}
        return with_default_views.ModelWithDefaultViews(
            content, text_view=generic.KeyValueView()
        )

    return generate
