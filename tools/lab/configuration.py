"""Configuration files: options as dictionaries, rendered for oslo.config."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import os
from pathlib import Path
import secrets

from tools.lab import errors

Value = str | int | float | bool | Path | Sequence[str]
"""An option. A list or tuple is an option given several times."""

Options = Mapping[str, Value | None]
"""Options of one section; ``None`` takes an option out again."""

Sections = Mapping[str, Options]


def merge(*layers: Sections) -> dict[str, dict[str, Value]]:
    """Lay sections over each other, option by option; the last one wins."""
    merged: dict[str, dict[str, Value]] = {}
    for layer in layers:
        for section, options in layer.items():
            target = merged.setdefault(section, {})
            for name, value in options.items():
                if value is None:
                    target.pop(name, None)
                else:
                    target[name] = value
    return merged


def render(sections: Sections) -> str:
    """Render sections as oslo.config reads them, ``[DEFAULT]`` first.

    :raises LabError: a value has a line break, which would be another
        option.
    """
    names = sorted(sections, key=lambda name: (name != 'DEFAULT', name))
    blocks = []
    for section in names:
        lines = [f'[{section}]']
        for name, value in sections[section].items():
            lines += [
                f'{name} = {_text(section, name, one)}'
                for one in _several(value)
            ]
        blocks.append('\n'.join(lines) + '\n')
    return '\n'.join(blocks)


def _several(value: Value | None) -> Sequence[object]:
    if value is None:
        return ()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    return (value,)


def _text(section: str, name: str, value: object) -> str:
    text = str(value)
    if '\n' in text or '\r' in text:
        raise errors.LabError(
            f'Option [{section}] {name} has a line break: {text!r}'
        )
    return text


def write(path: Path, text: str) -> Path:
    """Write a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f'.{path.name}.{secrets.token_hex(4)}')
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, 'w', encoding='utf-8') as file:
        file.write(text)
    new.replace(path)
    return path


def write_sections(path: Path, *layers: Sections) -> Path:
    """Merge, render and write sections; see :func:`write`."""
    return write(path, render(merge(*layers)))
