"""The directive ``metrics`` of Sphinx: the metrics of a process, as declared.

::

    .. metrics:: virtdc_agent.metering
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import importlib

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
import support_matrix


def rows(module_name: str) -> Iterator[Sequence[str]]:
    """Yield the rows of the table, its header first."""
    yield ('Metric', 'Type', 'Labels', 'Meaning')
    for metric in importlib.import_module(module_name).METRICS:
        yield (
            f'``{metric.name}``',
            metric.kind.value,
            ', '.join(f'``{label}``' for label in metric.labels),
            metric.meaning,
        )


class Metrics(SphinxDirective):
    """A table of metrics."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return it."""
        module_name = self.arguments[0]
        lines = support_matrix.table_of(rows(module_name))
        lines.insert(2, '   :widths: 35 10 20 35')
        lines.insert(2, '   :class: metrics')
        module = importlib.import_module(module_name)
        self.env.note_dependency(str(module.__file__))
        node = nodes.container()
        self.state.nested_parse(
            StringList(lines, source='declared'), self.content_offset, node
        )
        return node.children


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directive; called by Sphinx."""
    app.add_directive('metrics', Metrics)
    return {'version': '1', 'parallel_read_safe': True}
