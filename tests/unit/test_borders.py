"""Who may import whom: the borders of the design, kept by reading imports.

Every import counts wherever it stands: at the top, in a function, under
``TYPE_CHECKING``, or spelled as a call of ``import_module``.
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from pathlib import Path
import sys
import unittest

ROOT = Path(__file__).parents[2]
PRODUCT = ('cinder_virtdc', 'virtdc_agent')
NOT_PRODUCT = ('tests', 'tools', 'virtdc_agent.conformance')

PURE = frozenset(
    [
        *('__future__', 'abc', 'bisect', 'collections', 'dataclasses'),
        *('datetime', 'enum', 'fractions', 'functools', 'heapq', 'itertools'),
        *('math', 'numbers', 'operator', 're', 'statistics', 'typing'),
    ]
)
"""The part of the standard library that neither waits nor looks around."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Border:
    """What the modules of one part may import, beside their own part.

    :param own: our modules and packages, by the beginning of their names.
    :param never: exceptions from ``own``.
    :param libraries: other people's packages; ``None``: whatever they need.
    :param standard: modules of the standard library; ``None``: all.
    """

    own: Collection[str] = ()
    never: Collection[str] = ()
    libraries: Collection[str] | None = ()
    standard: Collection[str] | None = None


CONTRACT = ('virtdc_agent.contract',)
VALUES = (
    *CONTRACT,
    'virtdc_agent.exceptions',
    'virtdc_agent.model',
    'virtdc_agent.scheduling',
)
SEAMS = (*VALUES, 'virtdc_agent.interfaces')
# A plugin is made from the configuration, and may be told the time.
PLUGIN = Border(
    own=(
        *SEAMS,
        'virtdc_agent.capacity',
        'virtdc_agent.clock',
        'virtdc_agent.recognition',
    ),
    libraries=None,
)

# Both sides have it: it knows neither.
MONITORING = ('virtdc_agent.monitoring',)

BORDERS: Mapping[str, Border] = {
    'virtdc_agent.contract': Border(),
    'virtdc_agent.monitoring': Border(
        own=CONTRACT,
        libraries=[
            *('cheroot', 'oslo_config', 'oslo_context'),
            *('oslo_reports', 'oslo_utils', 'osprofiler'),
            *('opentelemetry', 'prometheus_client'),
        ],
    ),
    'virtdc_agent.metering': Border(
        own=(
            *(*SEAMS, *MONITORING),
            'virtdc_agent.pools',
        ),
    ),
    'virtdc_agent.exceptions': Border(own=CONTRACT),
    'virtdc_agent.scheduling': Border(own=CONTRACT, standard=PURE),
    'virtdc_agent.model': Border(own=VALUES),
    'virtdc_agent.interfaces': Border(own=VALUES),
    'virtdc_agent.clock': Border(own=SEAMS),
    'virtdc_agent.capacity': Border(own=SEAMS, standard=PURE),
    'virtdc_agent.policies': Border(
        own=(*CONTRACT, 'virtdc_agent.interfaces', 'virtdc_agent.model'),
        standard=PURE,
    ),
    'virtdc_agent.backends': PLUGIN,
    'virtdc_agent.exporters': PLUGIN,
    'virtdc_agent.journal': PLUGIN,
    'virtdc_agent.pools': Border(own=SEAMS),
    'virtdc_agent.exports': Border(own=SEAMS),
    'virtdc_agent.manageable': Border(
        own=(*SEAMS, 'virtdc_agent.patience', 'virtdc_agent.pools')
    ),
    'virtdc_agent.patience': Border(own=SEAMS),
    'virtdc_agent.space': Border(
        own=(*SEAMS, 'virtdc_agent.periodic', 'virtdc_agent.pools')
    ),
    'virtdc_agent.describing': Border(
        own=(
            *(*SEAMS, 'virtdc_agent.exports', 'virtdc_agent.pools'),
            'virtdc_agent.space',
        )
    ),
    'virtdc_agent.executor': Border(
        own=(
            *(*SEAMS, 'virtdc_agent.capacity', 'virtdc_agent.pools'),
            'virtdc_agent.exports',
        )
    ),
    'virtdc_agent.loading': Border(
        own=(
            *(*SEAMS, 'virtdc_agent.exports', 'virtdc_agent.opts'),
            *('virtdc_agent.plugins', 'virtdc_agent.pools'),
        ),
        libraries=['oslo_config'],
    ),
    'virtdc_agent.intake': Border(own=SEAMS),
    'virtdc_agent.outbox': Border(own=SEAMS),
    'virtdc_agent.retention': Border(own=SEAMS),
    'virtdc_agent.recognition': Border(own=CONTRACT, libraries=['oslo_utils']),
    'virtdc_agent.images': Border(
        own=(*SEAMS, 'virtdc_agent.capacity', 'virtdc_agent.recognition'),
    ),
    'virtdc_agent.periodic': Border(own=SEAMS),
    'virtdc_agent.trash': Border(own=(*SEAMS, 'virtdc_agent.intake')),
    'virtdc_agent.scanning': Border(own=(*SEAMS, 'virtdc_agent.intake')),
    'virtdc_agent.alarm_teller': Border(own=SEAMS),
    'virtdc_agent.answering': Border(own=SEAMS),
    'virtdc_agent.alarm_calls': Border(own=(*SEAMS, 'virtdc_agent.answering')),
    'virtdc_agent.offering': Border(own=SEAMS),
    'virtdc_agent.resync_calls': Border(
        own=(*SEAMS, 'virtdc_agent.answering')
    ),
    'virtdc_agent.resync_teller': Border(own=SEAMS),
    'virtdc_agent.mark_calls': Border(own=(*SEAMS, 'virtdc_agent.answering')),
    'virtdc_agent.endpoint': Border(
        own=(
            *SEAMS,
            *('virtdc_agent.alarm_calls', 'virtdc_agent.mark_calls'),
            *('virtdc_agent.offering', 'virtdc_agent.resync_calls'),
            'virtdc_agent.answering',
            'virtdc_agent.intake',
            *('virtdc_agent.describing', 'virtdc_agent.exports'),
            *('virtdc_agent.manageable', 'virtdc_agent.pools'),
        ),
        libraries=['oslo_messaging'],
    ),
    'virtdc_agent.bus': Border(
        own=(*SEAMS, 'virtdc_agent.endpoint'),
        libraries=['oslo_config', 'oslo_messaging'],
    ),
    # The one module of the API that puts it together by itself.
    'virtdc_agent.api.wsgi': Border(
        own=('virtdc_agent.opts', 'virtdc_agent.service'), libraries=None
    ),
    'virtdc_agent.api': Border(
        own=(*SEAMS, 'virtdc_agent.intake'), libraries=None
    ),
    'virtdc_agent.limit_history': Border(own=SEAMS),
    'virtdc_agent.plugins': Border(own=SEAMS, libraries=['stevedore']),
    'virtdc_agent.opts': Border(
        own=(*CONTRACT, *MONITORING), libraries=['oslo_config', 'oslo_db']
    ),
    'virtdc_agent.service': Border(
        own=['virtdc_agent'], never=['virtdc_agent.cmd'], libraries=None
    ),
    'virtdc_agent.cmd': Border(
        own=(
            *SEAMS,
            'virtdc_agent.api.tokens',
            'virtdc_agent.clock',
            'virtdc_agent.opts',
            'virtdc_agent.service',
            *MONITORING,
        ),
        libraries=None,
    ),
    'virtdc_agent.conformance': Border(
        own=(
            *SEAMS,
            'virtdc_agent.capacity',
            'virtdc_agent.clock',
            'virtdc_agent.conformance',
        )
    ),
    'cinder_virtdc': Border(
        own=('cinder_virtdc', *CONTRACT, *MONITORING),
        never=[
            *('cinder_virtdc.cmd', 'cinder_virtdc.driver'),
            *('cinder_virtdc.horizon', 'cinder_virtdc.osc'),
        ],
        libraries=None,
    ),
    'cinder_virtdc.driver': Border(
        own=('cinder_virtdc', *CONTRACT, *MONITORING),
        never=[
            *('cinder_virtdc.cmd', 'cinder_virtdc.horizon'),
            *('cinder_virtdc.listener', 'cinder_virtdc.osc'),
        ],
        libraries=None,
    ),
    'cinder_virtdc.bus': Border(
        own=(
            *(*CONTRACT, *MONITORING, 'cinder_virtdc.clock'),
            *('cinder_virtdc.exceptions', 'cinder_virtdc.meter'),
            'cinder_virtdc.translate',
        ),
        libraries=None,
    ),
    # What computes does not wait.
    'cinder_virtdc.sync': Border(
        own=(
            *(*CONTRACT, 'cinder_virtdc.cloud.interfaces'),
            'cinder_virtdc.translate',
        ),
        standard={*PURE, 'hashlib', 'json'},
    ),
    'cinder_virtdc.sync.reconcile': Border(
        own=(
            *(*CONTRACT, 'cinder_virtdc.cloud.interfaces'),
            *('cinder_virtdc.sync', 'cinder_virtdc.translate'),
        ),
        standard=PURE,
    ),
    'cinder_virtdc.cloud': Border(
        own=(
            *(*CONTRACT, *MONITORING, 'cinder_virtdc.bus.client'),
            *('cinder_virtdc.clock', 'cinder_virtdc.exceptions'),
            *('cinder_virtdc.meter', 'cinder_virtdc.opts'),
        ),
        libraries=None,
    ),
    'cinder_virtdc.cloud.interfaces': Border(own=CONTRACT, standard=PURE),
    'cinder_virtdc.alarms': Border(
        own=(
            *(*CONTRACT, 'cinder_virtdc.bus', 'cinder_virtdc.clock'),
            *('cinder_virtdc.cloud.interfaces', 'cinder_virtdc.exceptions'),
            'cinder_virtdc.sync.deletions',
        ),
        libraries=None,
    ),
    # What programs share that run with a user's rights.
    'cinder_virtdc.rest_client': Border(libraries=['keystoneauth1']),
    'cinder_virtdc.wording': Border(standard=PURE),
    # In the web server of the dashboard: without Cinder, the bus, the agent.
    'cinder_virtdc.horizon': Border(
        own=(
            *CONTRACT,
            'cinder_virtdc.sync.properties',
            'cinder_virtdc.rest_client',
            'cinder_virtdc.wording',
        ),
        libraries=[
            *('django', 'horizon', 'keystoneauth1', 'openstack_auth'),
            'openstack_dashboard',
        ],
    ),
    # What it says, as plain values: tested without the dashboard.
    'cinder_virtdc.horizon.calls': Border(
        own=['cinder_virtdc.rest_client'],
    ),
    'cinder_virtdc.horizon.filtering': Border(
        own=(*CONTRACT, 'cinder_virtdc.horizon.events'),
        standard={*PURE, 'urllib'},
    ),
    'cinder_virtdc.horizon.naming': Border(
        own=(*CONTRACT, 'cinder_virtdc.wording'), standard=PURE
    ),
    **{
        f'cinder_virtdc.horizon.{name}': Border(
            own=(
                *CONTRACT,
                'cinder_virtdc.horizon.naming',
                'cinder_virtdc.wording',
            ),
            standard=PURE,
        )
        for name in ('alarms', 'events')
    },
    # On a user's own machine: without Cinder, the bus and the agent.
    'cinder_virtdc.osc': Border(
        own=(
            *CONTRACT,
            *(
                f'cinder_virtdc.{name}'
                for name in (
                    *('clock', 'cloud', 'exceptions', 'remedies'),
                    *('rest_client', 'sync', 'translate', 'wording'),
                )
            ),
        ),
        libraries=['cliff', 'keystoneauth1', 'osc_lib', 'rich'],
    ),
    'cinder_virtdc.cmd': Border(
        own=('cinder_virtdc', *CONTRACT, *MONITORING),
        never=['cinder_virtdc.driver', 'cinder_virtdc.horizon'],
        libraries=None,
    ),
    'cinder_virtdc.translate': Border(
        own=('cinder_virtdc', *CONTRACT), standard=PURE
    ),
    'cinder_virtdc.pools': Border(
        own=('cinder_virtdc', *CONTRACT), standard=PURE
    ),
    'cinder_virtdc.stats': Border(
        own=('cinder_virtdc', *CONTRACT), standard=PURE
    ),
}

RESERVED: Mapping[str, Collection[str]] = {
    'cinder': ['cinder_virtdc.driver'],
    'eventlet': [],
    'openstack': ['cinder_virtdc.cloud.sdk'],
}
"""Libraries that only these modules may import."""


def imports_of(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Yield the full name of everything that a module's text imports."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                base = node.module or ''
                if node.level:
                    up = module.split('.')
                    up = up[: len(up) - node.level + is_package]
                    base = '.'.join([*up, base] if base else up)
                yield from (f'{base}.{alias.name}' for alias in node.names)
            case ast.Call(
                func=(
                    ast.Name(id='__import__' | 'import_module')
                    | ast.Attribute(attr='import_module')
                ),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def is_in(name: str, packages: Collection[str]) -> bool:
    """Say whether a name is one of these, or lies inside of one."""
    return any(
        name == package or name.startswith(package + '.')
        for package in packages
    )


def part_of(module: str) -> str | None:
    """Return the part whose border a module keeps: the narrowest there is."""
    parts = [part for part in BORDERS if is_in(module, [part])]
    return max(parts, key=len, default=None)


def problem_of(module: str, name: str) -> str | None:
    """Say what is wrong with a module's import of a name, if anything."""
    top = name.split('.')[0]
    part = part_of(module)
    if part is None:
        return 'no border is drawn for this module'
    border = BORDERS[part]
    if top in PRODUCT:
        if is_in(name, [part]) and not is_in(name, border.never):
            return None
        if is_in(name, NOT_PRODUCT) and part not in NOT_PRODUCT:
            return 'the product does not import its tests'
        if not is_in(name, border.own) or is_in(name, border.never):
            return f'{part} may not know it'
    elif top in NOT_PRODUCT:
        return 'the product does not import its tests'
    elif top in sys.stdlib_module_names:
        if border.standard is not None and top not in border.standard:
            return f'{part} is pure'
    elif top in RESERVED:
        if not is_in(module, RESERVED[top]):
            return f'{top} is for {", ".join(RESERVED[top]) or "nobody"}'
    elif border.libraries is not None and top not in border.libraries:
        return f'{part} does without libraries like this'
    return None


def problems_in(source: str, module: str, is_package: bool) -> list[str]:
    """Return what is wrong with the imports of a module's text."""
    return [
        f'{module} imports {name}: {problem}'
        for name in imports_of(source, module, is_package)
        if (problem := problem_of(module, name))
    ]


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the name and the file of each module of the product."""
    for package in PRODUCT:
        for path in sorted((ROOT / package).rglob('*.py')):
            parts = path.relative_to(ROOT).with_suffix('').parts
            yield '.'.join(parts).removesuffix('.__init__'), path


class TestBorders(unittest.TestCase):
    def test_are_kept(self) -> None:
        problems = [
            problem
            for module, path in modules()
            for problem in problems_in(
                path.read_text('utf-8'), module, path.name == '__init__.py'
            )
        ]
        self.assertEqual([], problems)

    def test_are_drawn_for_every_module(self) -> None:
        self.assertEqual(
            [],
            [
                module
                for module, _ in modules()
                if module not in PRODUCT and part_of(module) is None
            ],
        )

    def test_packages_load_nothing_else(self) -> None:
        # The cloud imports the contract and must not load the agent by it.
        for package in PRODUCT:
            text = (ROOT / package / '__init__.py').read_text('utf-8')
            self.assertEqual([], list(imports_of(text, package, True)))


class TestTheCheck(unittest.TestCase):
    """A planted violation is found."""

    def check(self, module: str, source: str) -> list[str]:
        """Return the names whose import is refused."""
        return [
            problem.split(':')[0].split(' imports ')[1]
            for problem in problems_in(source, module, False)
        ]

    def test_wherever_it_stands(self) -> None:
        for source in (
            'import cinder.utils',
            'import sys, cinder.utils as other',
            'from cinder import utils',
            'def function():\n    from cinder import utils',
            'if TYPE_CHECKING:\n    from cinder import utils',
            'try:\n    import cinder.utils\nexcept ImportError:\n    pass',
            'class A:\n    async def f(self):\n        import cinder.utils',
            "importlib.import_module('cinder.utils')",
            "import_module('cinder.utils')",
            "__import__('cinder.utils')",
        ):
            with self.subTest(source=source):
                self.assertEqual(
                    ['cinder.utils'], self.check('virtdc_agent.intake', source)
                )

    def test_relative_imports(self) -> None:
        source = (
            'from . import service\n'
            'from .service import Service\n'
            'from .. import service\n'
            'from ..backends.file import FileBackend\n'
            'from .gate import Gate'
        )
        self.assertEqual(
            ['virtdc_agent.service', 'virtdc_agent.backends.file.FileBackend'],
            self.check('virtdc_agent.executor.worker', source),
        )
        self.assertEqual(
            ['virtdc_agent.journal.sql.SqlJournal'],
            list(
                imports_of(
                    'from .sql import SqlJournal', 'virtdc_agent.journal', True
                )
            ),
        )

    def test_every_border(self) -> None:
        for module, name in (
            ('virtdc_agent.contract.codec', 'oslo_utils.timeutils'),
            ('virtdc_agent.contract.codec', 'virtdc_agent.model'),
            ('virtdc_agent.interfaces', 'oslo_config.cfg'),
            ('virtdc_agent.interfaces', 'virtdc_agent.clock'),
            ('virtdc_agent.model', 'virtdc_agent.interfaces'),
            *(
                ('virtdc_agent.policies.new', name)
                for name in (
                    *('time', 'threading', 'random', 'os', 'os.path'),
                    *('logging', 'socket', 'oslo_config.cfg', 'numpy'),
                    *('virtdc_agent.clock', 'virtdc_agent.executor.gate'),
                )
            ),
            ('virtdc_agent.backends.new', 'virtdc_agent.exporters.share'),
            ('virtdc_agent.backends.new', 'virtdc_agent.journal.sql'),
            ('virtdc_agent.exporters.new', 'virtdc_agent.backends.file'),
            ('virtdc_agent.journal.sql', 'virtdc_agent.backends.memory'),
            *(
                (module, f'virtdc_agent.{name}')
                for module in (
                    'virtdc_agent.executor.worker',
                    'virtdc_agent.intake',
                    'virtdc_agent.outbox',
                )
                for name in (
                    *('backends.file', 'exporters.share', 'journal.sql'),
                    *('policies.fixed', 'service', 'plugins', 'bus'),
                )
            ),
            ('virtdc_agent.api.app', 'virtdc_agent.executor.executor'),
            ('virtdc_agent.bus', 'virtdc_agent.service'),
            ('virtdc_agent.service', 'virtdc_agent.cmd.agent'),
            ('virtdc_agent.service', 'virtdc_agent.conformance.policy'),
            ('virtdc_agent.service', 'tests.base'),
            ('virtdc_agent.service', 'tools.lab.stack'),
            ('virtdc_agent.service', 'cinder.db'),
            ('virtdc_agent.service', 'cinder_virtdc.bus.client'),
            ('virtdc_agent.service', 'eventlet'),
            ('virtdc_agent.conformance.policy', 'virtdc_agent.policies.fixed'),
            ('virtdc_agent.unheard_of', 'sys'),
            ('cinder_virtdc.bus.client', 'cinder.exception'),
            ('cinder_virtdc.bus.client', 'virtdc_agent.model'),
            ('cinder_virtdc.bus.client', 'virtdc_agent.conformance.policy'),
            ('cinder_virtdc.bus.client', 'eventlet.tpool'),
            ('cinder_virtdc.bus.client', 'tests.base'),
            ('cinder_virtdc.driver', 'virtdc_agent.clock'),
            ('cinder_virtdc.driver', 'eventlet'),
            ('cinder_virtdc.listener', 'cinder_virtdc.driver'),
            ('cinder_virtdc.listener', 'openstack.connection'),
            ('cinder_virtdc.listener', 'cinder_virtdc.osc.client'),
            ('cinder_virtdc.osc.client', 'cinder.exception'),
            ('cinder_virtdc.osc.client', 'cinder_virtdc.bus.client'),
            ('cinder_virtdc.osc.client', 'oslo_messaging'),
            ('cinder_virtdc.osc.client', 'virtdc_agent.model'),
            ('cinder_virtdc.osc.v1.event', 'virtdc_agent.api.views'),
            ('cinder_virtdc.listener', 'cinder_virtdc.horizon.events'),
            ('cinder_virtdc.cmd.listener', 'cinder_virtdc.horizon.events'),
            ('cinder_virtdc.osc.client', 'cinder_virtdc.horizon.events'),
            ('cinder_virtdc.horizon.views', 'cinder_virtdc.cloud'),
            ('cinder_virtdc.horizon.views', 'cinder_virtdc.osc.columns'),
            ('cinder_virtdc.horizon.views', 'oslo_messaging'),
            ('cinder_virtdc.horizon.views', 'virtdc_agent.model'),
            ('cinder_virtdc.horizon.calls', 'django.conf.settings'),
            ('cinder_virtdc.horizon.events', 'django.utils.html'),
            ('cinder_virtdc.horizon.events', 'cinder_virtdc.horizon.tables'),
            ('cinder_virtdc.rest_client', 'cinder_virtdc.osc.client'),
            ('cinder_virtdc.wording', 'time'),
            ('cinder_virtdc.sync.reconcile', 'openstack.connection'),
            ('cinder_virtdc.sync.reconcile', 'time'),
            ('cinder_virtdc.translate', 'logging'),
            (
                'cinder_virtdc.cmd.listener',
                'cinder_virtdc.driver.VirtDCDriver',
            ),
        ):
            with self.subTest(module=module, name=name):
                self.assertIsNotNone(problem_of(module, name))

    def test_what_is_meant_to_be(self) -> None:
        for module, name in (
            ('virtdc_agent.contract.codec', 'json'),
            ('virtdc_agent.contract.codec', 'virtdc_agent.contract.events'),
            ('virtdc_agent.policies.new', 'math'),
            ('virtdc_agent.policies.new', 'collections.abc.Sequence'),
            ('virtdc_agent.policies.new', 'virtdc_agent.model'),
            ('virtdc_agent.backends.new', 'libvirt'),
            ('virtdc_agent.executor.worker', 'virtdc_agent.executor.gate'),
            ('virtdc_agent.service', 'virtdc_agent.journal.sql.SqlJournal'),
            ('virtdc_agent.cmd.agent', 'virtdc_agent.service'),
            ('cinder_virtdc.driver', 'cinder.volume.driver'),
            ('cinder_virtdc.driver', 'cinder_virtdc.bus.client.AgentClient'),
            ('cinder_virtdc.bus.client', 'virtdc_agent.contract.codec'),
            ('cinder_virtdc.cloud.sdk', 'openstack.connection'),
        ):
            with self.subTest(module=module, name=name):
                self.assertIsNone(problem_of(module, name))
