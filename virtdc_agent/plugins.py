"""Loads plugins by name, and fails with the names there are."""

from __future__ import annotations

from typing import Any

from stevedore import driver
from stevedore import exception as stevedore_exception
from stevedore import extension

from virtdc_agent import exceptions

BACKENDS = 'virtdc_agent.backends'
EXPORTERS = 'virtdc_agent.exporters'
POLICIES = 'virtdc_agent.policies'


def load(namespace: str, name: str, option: str) -> type[Any]:
    """Return the class that is registered under ``name``.

    :param option: the option that gave the name, for the error.
    :raises ConfigInvalid: there is none, or it cannot be imported.
    """
    try:
        manager: driver.DriverManager[Any] = driver.DriverManager(
            namespace, name, invoke_on_load=False
        )
    except stevedore_exception.NoMatches as exc:
        known = sorted(
            set(extension.ExtensionManager(namespace).entry_points_names())
        )
        if name in known:
            raise exceptions.ConfigInvalid(
                f'{option} = {name} cannot be loaded: {exc}'
            ) from exc
        raise exceptions.ConfigInvalid(
            f'{option} = {name} is unknown; there are: {", ".join(known)}.'
        ) from exc
    except Exception as exc:
        # Whatever a plugin's import may raise.
        raise exceptions.ConfigInvalid(
            f'{option} = {name} cannot be loaded: {exc}'
        ) from exc
    plugin = manager.driver
    if not isinstance(plugin, type):
        raise exceptions.ConfigInvalid(
            f'{option} = {name} names {plugin!r}, which is not a class.'
        )
    return plugin
