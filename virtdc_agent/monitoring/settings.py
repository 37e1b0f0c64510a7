"""Finds in configuration files what nobody reads, or not for long."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import glob
from importlib import metadata
import os
from typing import Any

from oslo_config import cfg


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Strange:
    """An option that is set and should not be.

    :param instead: what it is called now; empty: nobody reads it.
    """

    section: str
    option: str
    instead: str = ''

    def __str__(self) -> str:
        """Say it to a person."""
        name = f'[{self.section}] {self.option}'
        return f'{name} is now {self.instead}' if self.instead else name


def find_strange(
    conf: cfg.ConfigOpts,
    namespaces: Collection[str],
    *,
    own: Mapping[str, Collection[str]] | None = None,
    skipped: Collection[str] = (),
) -> Iterator[Strange]:
    """Yield what is strange in the files that a configuration was read from.

    :param namespaces: of the options that are read, as for
        oslo-config-generator.
    :param own: further options, by section.
    :param skipped: sections whose options depend on others.
    """
    known, former = _known(namespaces)
    for section, options in (own or {}).items():
        known.setdefault(section, set()).update(options)
    for section, option in sorted(_set_in(conf)):
        if section in skipped:
            continue
        name = option.replace('-', '_')
        if name in known.get(section, ()):
            continue
        yield Strange(
            section=section,
            option=option,
            instead=former.get((section, name), ''),
        )


def _set_in(conf: cfg.ConfigOpts) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    paths = list(conf.config_file or ())
    for folder in conf.config_dir or ():
        paths += sorted(glob.glob(os.path.join(folder, '*.conf')))
    for path in paths:
        sections: dict[str, dict[str, Any]] = {}
        cfg.ConfigParser(path, sections).parse()
        found.update(
            (section, option)
            for section, options in sections.items()
            for option in options
        )
    return found


def _known(
    namespaces: Collection[str],
) -> tuple[dict[str, set[str]], dict[tuple[str, str], str]]:
    """Return options by section, and what former ones are called now."""
    known: dict[str, set[str]] = {}
    former: dict[tuple[str, str], str] = {}
    for entry in metadata.entry_points(group='oslo.config.opts'):
        if entry.name not in namespaces:
            continue
        for group, options in entry.load()():
            section = str(getattr(group, 'name', group) or 'DEFAULT')
            names = known.setdefault(section, set())
            for option in options:
                names.add(option.dest)
                if option.deprecated_for_removal:
                    former[section, option.dest] = 'to be removed'
                for old in option.deprecated_opts:
                    where = (old.group or section, old.name or option.dest)
                    name = where[1].replace('-', '_')
                    former[where[0], name] = f'[{section}] {option.dest}'
    for section, name in former:
        # Read still, but not for long.
        if former[section, name] != 'to be removed':
            known.get(section, set()).discard(name)
    return known, former
