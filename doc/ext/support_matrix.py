"""The directives ``support-matrix`` and ``exporter-matrix`` of Sphinx.

They write what is declared, and fail the build when the driver or the
contract has something of which no row says what it is for.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
import features
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

FOR_TESTS = frozenset({'memory'})
"""Plugins of which users need not know."""


def feature_rows() -> Iterator[Sequence[str]]:
    """Yield the rows of the matrix, its header first."""
    methods = features.driver_methods(features.driver_source())
    features.check(methods)
    backends = _shown(features.plugins('backends'))
    yield ('Feature', *(f'``{name}``' for name in backends), 'Remarks')
    for feature in features.FEATURES:
        marks = (
            features.is_offered(feature, methods, backend)
            for backend in backends.values()
        )
        yield (
            feature.title,
            *(features.YES if mark else features.NO for mark in marks),
            feature.note,
        )


def exporter_rows() -> Iterator[Sequence[str]]:
    """Yield the rows of the exporters, their header first."""
    yield ('Exporter', 'Protocol', 'Grows while attached')
    for name, exporter in _shown(features.plugins('exporters')).items():
        yield (
            f'``{name}``',
            exporter.storage_protocol,
            features.YES if exporter.can_grow_in_use else features.NO,
        )


def table_of(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table in reStructuredText, line by line."""
    lines = ['.. list-table::', '   :header-rows: 1', '']
    for row in rows:
        for number, cell in enumerate(row):
            lines.append(f'   {" " if number else "*"} - {cell}'.rstrip())
    return lines


def _shown(plugins: dict[str, Any]) -> dict[str, Any]:
    return {
        name: kind for name, kind in plugins.items() if name not in FOR_TESTS
    }


class _Matrix(SphinxDirective):
    def rows(self) -> Iterable[Sequence[str]]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        try:
            lines = table_of(self.rows())
        except features.Undocumented as exc:
            raise ExtensionError(str(exc)) from exc
        # The page is built anew when what it is made of has changed.
        for path in features.DRIVER:
            self.env.note_dependency(str(path))
        self.env.note_dependency(features.__file__)
        node = nodes.container()
        self.state.nested_parse(
            StringList(lines, source='declared'), self.content_offset, node
        )
        return node.children


class SupportMatrix(_Matrix):
    """What is offered, feature by feature."""

    def rows(self) -> Iterable[Sequence[str]]:
        """Return the rows."""
        return feature_rows()


class ExporterMatrix(_Matrix):
    """What exporters declare."""

    def rows(self) -> Iterable[Sequence[str]]:
        """Return the rows."""
        return exporter_rows()


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directives; called by Sphinx."""
    app.add_directive('support-matrix', SupportMatrix)
    app.add_directive('exporter-matrix', ExporterMatrix)
    return {'version': '1', 'parallel_read_safe': True}
