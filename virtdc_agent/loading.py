"""Makes the pools and exporters that the configuration names.

With ``[agent] pools`` each pool has a section ``[pool_<name>]``, whose options
are those of its backend: they are registered here, since nobody knows the
names before the configuration is read.
"""

from __future__ import annotations

from collections.abc import Sequence
import re

from oslo_config import cfg

from virtdc_agent import exceptions
from virtdc_agent.exports import Exporters
from virtdc_agent import interfaces
from virtdc_agent import opts
from virtdc_agent import plugins
from virtdc_agent.pools import Pool
from virtdc_agent.pools import Pools

_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,63}')


def load_pools(conf: cfg.ConfigOpts, clock: interfaces.Clock) -> Pools:
    """Return the configured pools; none is started.

    :raises ConfigInvalid: an option cannot work; names it and its section.
    """
    names: Sequence[str] = conf.agent.pools
    if not names:
        name: str = conf.agent.pool_name
        return Pools(
            [
                _load_pool(
                    *(conf, clock, name and _checked(name, 'pool_name')),
                    *(conf.agent.backend, '[agent] backend', ''),
                )
            ]
        )
    if conf.agent.pool_name:
        raise exceptions.ConfigInvalid(
            f'[agent] pool_name = {conf.agent.pool_name} names the one pool '
            'of an agent without [agent] pools: remove one of the two.'
        )
    _check_distinct(names, 'pools')
    pools = []
    for name in names:
        section = opts.section_of(_checked(name, 'pools'))
        try:
            opts.register_pool(conf, section)
        except cfg.Error as exc:
            raise exceptions.ConfigInvalid(f'[{section}]: {exc}') from exc
        pools.append(
            _load_pool(
                *(conf, clock, name, conf[section].backend),
                *(f'[{section}] backend', section),
            )
        )
    return Pools(pools)


def load_exporters(
    conf: cfg.ConfigOpts, clock: interfaces.Clock, locate: interfaces.Locate
) -> Exporters:
    """Return the configured exporters; none is started.

    :raises ConfigInvalid: an option cannot work.
    """
    names: Sequence[str] = conf.agent.exporters
    option = '[agent] exporters'
    if not names:
        names, option = [conf.agent.exporter], '[agent] exporter'
    _check_distinct(names, 'exporters')
    return Exporters(
        {
            name: plugins.load(plugins.EXPORTERS, name, option).from_config(
                conf, clock=clock, locate=locate
            )
            for name in names
        }
    )


def _load_pool(
    conf: cfg.ConfigOpts,
    clock: interfaces.Clock,
    name: str,
    plugin: str,
    option: str,
    section: str,
) -> Pool:
    kind = plugins.load(plugins.BACKENDS, plugin, option)
    try:
        backend: interfaces.Backend = kind.from_config(
            conf, clock=clock, section=section
        )
    except cfg.Error as exc:
        raise exceptions.ConfigInvalid(f'[{section}]: {exc}') from exc
    return Pool(name=name, backend=backend, plugin=plugin)


def _checked(name: str, option: str) -> str:
    if not _NAME.fullmatch(name):
        raise exceptions.ConfigInvalid(
            f'[agent] {option} has {name!r}: the name of a pool is 1 to 64 '
            'letters, digits, dots, dashes or underscores, and begins with a '
            'letter or digit.'
        )
    return name


def _check_distinct(names: Sequence[str], option: str) -> None:
    if len(set(names)) < len(names):
        raise exceptions.ConfigInvalid(
            f'[agent] {option} = {", ".join(names)} has one of them twice.'
        )
