"""A person at the web console: the agent's service and a real Chromium."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
import functools
import os
import shutil
from typing import Any
import unittest
from unittest import mock

from oslo_config import cfg
from playwright import sync_api as playwright

from tests import base as test_base
from tests import busless
from tests.functional import base
from tools.lab import ports
from virtdc_agent.api.server import ApiServer
from virtdc_agent import interfaces
from virtdc_agent import opts
from virtdc_agent import service

GIB = base.GIB
NAMES = ('chromium', 'chromium-browser', 'google-chrome')


class Idle:
    """An executor that takes nothing: the test says what happens."""

    def __init__(self, journal: interfaces.Journal) -> None:
        self._journal = journal

    def start(self) -> None:
        self._journal.join()

    def drain(self, timeout_s: float) -> bool:
        self._journal.leave()
        return True


class Agent(busless.BuslessService):
    """The agent's service with its API, without a bus.

    :param executes: it takes events; else they wait for the test.
    """

    def __init__(self, conf: cfg.ConfigOpts, *, executes: bool = True) -> None:
        self._executes = executes
        self._is_stopped = False
        with mock.patch.object(
            service.bus, 'connect', autospec=True, return_value=(None, None)
        ):
            super().__init__(conf, busless.Deaf())

    def _make_executor(self, journal: interfaces.Journal, *parts: Any) -> Any:
        if not self._executes:
            return Idle(journal)
        return super()._make_executor(journal, *parts)

    def stop(self) -> bool:
        if self._is_stopped:
            return True
        self._is_stopped = True
        return super().stop()

    @property
    def api(self) -> ApiServer:
        """What listens."""
        if self._api is None:
            raise AssertionError('there is no API')
        return self._api


class PageCase(unittest.TestCase):
    """A test with a page of one browser for all.

    What the page should not do fails the test: an error in its scripts, or
    something that its policy has refused.
    """

    page_options: Mapping[str, Any] = {}

    def open_page(self) -> None:
        """Have a page, in a context of its own."""
        context = shared_browser().new_context(
            locale='en-GB',
            viewport={'width': 1280, 'height': 800},
            **self.page_options,
        )
        self.addCleanup(context.close)
        context.set_default_timeout(10_000)
        self.page = context.new_page()
        self.wrong: list[str] = []
        self.page.on('pageerror', lambda error: self.wrong.append(str(error)))
        self.page.on('console', self._note)
        self.addCleanup(self._check)

    @property
    def address(self) -> str:
        """Where the console is."""
        raise NotImplementedError

    def open(self, view: str = '') -> None:
        """Open the console, and wait until it is live."""
        self.page.goto(f'{self.address}#{view}')
        self.await_live()

    def await_live(self) -> None:
        """Wait until changes are followed."""
        playwright.expect(
            self.page.get_by_text('live', exact=True)
        ).to_be_visible(timeout=20_000)

    def button(self, name: str) -> playwright.Locator:
        """Find a button by its whole name, as a screen reader says it."""
        # Behind an open dialog there is nothing to a screen reader.
        return self.page.get_by_role('button', name=name, exact=True)

    def row(self, name: str) -> playwright.Locator:
        """Find the rows of a thing in the view's tables."""
        return self.page.locator('main tr').filter(
            has=self.page.get_by_text(name, exact=True)
        )

    def go(self, view: str) -> None:
        """Choose a view."""
        self.page.get_by_role('navigation').get_by_role(
            'link', name=view
        ).click()

    @property
    def dialog(self) -> playwright.Locator:
        """The dialog that is open."""
        return self.page.get_by_role('dialog')

    def finished(self, text: str) -> None:
        """Wait until the console says that something has ended."""
        playwright.expect(self.page.locator('#toasts')).to_contain_text(
            text, timeout=30_000
        )

    def _note(self, message: playwright.ConsoleMessage) -> None:
        # What the network refuses is said in the page, and tested there.
        if message.type == 'error' and 'Failed to load' not in message.text:
            self.wrong.append(message.text)

    def _check(self) -> None:
        self.assertEqual([], self.wrong)


class BrowserCase(PageCase, test_base.TestCase):
    """A test with an agent of its own, and a page.

    :cvar text: of the agent's configuration file.
    """

    timeout_s = 60
    executes = True
    text = ''
    settings: Mapping[tuple[str, str], Any] = {}

    def setUp(self) -> None:
        super().setUp()
        shared_browser()
        (self.folder / 'pool').mkdir()
        free = ports.Ports()
        self.addCleanup(free.release)
        self.port = free.take()
        service.sync_journal(self.configure())
        self.agent = self.start_agent()
        self.open_page()

    def configure(self) -> cfg.ConfigOpts:
        """Return the agent's configuration."""
        conf = cfg.ConfigOpts()
        opts.register_opts(conf)
        self.addCleanup(conf.reset)
        file = self.folder / 'agent.conf'
        file.write_text(self.text.format(folder=self.folder))
        conf([], project='virtdc-test', default_config_files=[str(file)])
        values = {
            ('', 'state_path'): str(self.folder),
            ('agent', 'name'): 'agent-1',
            ('backend_file', 'path'): str(self.folder / 'pool'),
            ('exporter_share', 'export'): 'filer:/volumes',
            ('api', 'enabled'): True,
            ('api', 'auth_strategy'): 'none',
            ('api', 'bind_port'): self.port,
            ('api', 'poll_interval_s'): 0.1,
            **self.settings,
        }
        for (group, name), value in values.items():
            conf.set_override(name, value, group or None)
        return conf

    def start_agent(self) -> Agent:
        """Start it where it was before."""
        agent = Agent(self.configure(), executes=self.executes)
        agent.start()
        self.addCleanup(agent.stop)
        return agent

    @property
    def address(self) -> str:
        """Where the console is."""
        return f'http://127.0.0.1:{self.port}/console/'


@functools.cache
def shared_browser() -> playwright.Browser:
    """Return the one browser of this process.

    :raises SkipTest: there is none, and need not be.
    """
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        if os.environ.get(base.REQUIRED):
            raise AssertionError(f'none of {", ".join(NAMES)} is installed')
        raise unittest.SkipTest('no Chromium')
    manager = playwright.sync_playwright()
    started = manager.start()
    atexit.register(started.stop)
    browser = started.chromium.launch(
        executable_path=found,
        args=['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    )
    atexit.register(browser.close)
    return browser
