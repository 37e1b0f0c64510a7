"""The plugin in a real Horizon, looked at with a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import http.server
import json
import os
from pathlib import Path
import re
import ssl
import subprocess
import tempfile
import threading
from typing import Any
from typing import ClassVar

from playwright import sync_api as playwright
from playwright.sync_api import expect

from tests.functional import base
from tests.functional import browser
from tools.lab import processes
from tools.lab import rest
from tools.lab import stack

GIB = base.GIB
HOSTILE = '<img src=x onerror="document.title=1"><b>&amp;\u202eevil'
SHOWN = HOSTILE.replace('\u202e', '\ufffd')


class HorizonCase(base.CloudCase):
    """A test with a page of its own, on which nobody has signed in.

    An error in a page's scripts, or one of the server, fails the test.
    """

    def setUp(self) -> None:
        super().setUp()
        if self.lab.keystone is None or self.lab.horizon is None:
            raise AssertionError('the lab has no Keystone or no Horizon')
        self.keystone = self.lab.keystone
        self.url = self.lab.horizon.url
        self.virtdc = rest.Rest(
            f'{self.lab.rest_url}/v1', self.keystone.headers()
        )
        context = browser.shared_browser().new_context(
            locale='en-GB', viewport={'width': 1280, 'height': 800}
        )
        self.addCleanup(context.close)
        # Horizon compiles its templates when they are first asked for.
        context.set_default_timeout(30_000)
        expect.set_options(timeout=30_000)
        self.addCleanup(expect.set_options, timeout=5_000)
        self.page = context.new_page()
        self.wrong: list[str] = []
        self.page.on('pageerror', lambda error: self.wrong.append(str(error)))
        self.page.on('response', self._note)
        self.addCleanup(lambda: self.assertEqual([], self.wrong))

    def get_lab(self) -> stack.Lab:
        """Return the lab to test in."""
        return base.keystone_lab()

    def sign_in(self, user: str, path: str) -> None:
        """Sign in, and open a page."""
        self.page.goto(f'{self.url}auth/login/?next=/{path}')
        self.page.locator('#id_username').fill(user)
        self.page.locator('#id_password').fill(self.keystone.password(user))
        self.page.locator('#loginBtn').click()
        self.page.wait_for_url(lambda url: '/auth/login' not in url)

    def open(self, path: str) -> None:
        """Open a page."""
        self.page.goto(self.url + path)

    def row(self, *texts: str) -> playwright.Locator:
        """Find the rows of a table in which all of these stand."""
        found = self.page.locator('table.datatable tbody tr')
        for text in texts:
            found = found.filter(has=self.page.get_by_text(text, exact=True))
        return found

    def link(self, name: str) -> playwright.Locator:
        return self.page.get_by_role('link', name=name, exact=True)

    def filter_by(self, field: str, text: str) -> None:
        """Have Horizon's filter show only some."""
        self.page.locator('.table_search .dropdown-toggle').click()
        self.page.locator('.table_search .dropdown-menu').get_by_text(
            f'{field} =', exact=True
        ).click()
        self.page.locator('.table_search input[type=text]').fill(text)
        self.page.get_by_role('button', name='Filter', exact=True).click()

    def delete_over_there(self, volume_id: str) -> None:
        """Have the data centre delete a volume of the cloud."""
        self.virtdc.delete(f'/volumes/{volume_id}')
        self.wait(volume_id, 'error', alarm='volume-deleted')

    @contextlib.contextmanager
    def drained(self) -> Iterator[None]:
        """Have the agent take no events."""

        def lease() -> Any:
            return self.virtdc.get('/agents')['agents'][0]['lease_until']

        self.virtdc.post('/agents/agent/drain', None)
        before = lease()
        # It learns of it when it next renews its lease.
        self.until(lambda: lease() != before, 30, lambda: 'it is not told')
        try:
            yield
        finally:
            self.virtdc.post('/agents/agent/undrain', None)

    def _note(self, response: playwright.Response) -> None:
        if response.status >= 500:
            self.wrong.append(f'{response.status} of {response.url}')


@contextlib.contextmanager
def slowly(service: processes.Service) -> Iterator[None]:
    """Let a service run for a tenth of the time only.

    What it does takes ten times as long, and is to be seen.
    """
    is_over = threading.Event()

    def hamper() -> None:
        while not is_over.wait(0.05):
            service.pause()
            is_over.wait(0.45)
            service.resume()

    thread = threading.Thread(target=hamper)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


class TestUser(HorizonCase):
    """Somebody of a project."""

    def setUp(self) -> None:
        super().setUp()
        found = self.cloud.get('/types')['volume_types']
        if not any(one['name'] == 'thick' for one in found):
            specs = {'virtdc:provisioning': 'thick'}
            body = {'name': 'thick', 'extra_specs': specs}
            self.cloud.post('/types', {'volume_type': body})

    def test_a_volume_from_its_beginning_to_its_alarm(self) -> None:
        self.sign_in('demo', 'project/volumes/')
        with slowly(self.agent.service):
            self.create_volume('data')
            self.link('Platform Events').click()
            volume_id = self.follow('data')
        self.page.get_by_text('data', exact=True).click()
        expect(self.page).to_have_url(re.compile(f'volumes/{volume_id}/$'))
        self.link('Platform Events').last.click()
        tab = self.page.locator('#volume_details__platform_events_tab')
        expect(tab).to_contain_text('create')
        expect(tab).to_contain_text('success')

        expect(self.page.locator('.virtdc-alarm')).to_have_count(0)
        self.delete_over_there(volume_id)
        self.page.reload()
        banner = self.page.locator('.virtdc-alarm')
        expect(banner).to_contain_text('Deleted in the data centre')
        # Who is no operator learns of it, and that is all.
        expect(self.link('Acknowledge')).to_have_count(0)
        expect(self.link('Platform Alarms')).to_have_count(0)
        self.open('admin/platform_alarms/')
        expect(self.page.locator('body')).not_to_contain_text(volume_id)

    def create_volume(self, name: str) -> None:
        self.page.get_by_role('link', name='Create Volume').click()
        form = self.page.locator('.modal-dialog')
        form.locator('#id_name').fill(name)
        form.locator('#id_size').fill('1')
        # What people see is drawn over it.
        form.locator('#id_type').select_option('thick', force=True)
        form.get_by_role('button', name='Create Volume').click()
        expect(self.row(name)).to_have_count(1)

    def follow(self, name: str) -> str:
        """Watch a bar move until the end; return the volume's id."""
        self.page.evaluate('window.isTheSame = true')
        row = self.row(name, 'create')
        bar = row.get_by_role('progressbar')
        expect(bar).to_have_attribute(
            'aria-valuenow', re.compile('^[1-9][0-9]?$'), timeout=60_000
        )
        first = bar.get_attribute('aria-valuenow') or ''
        expect(row).to_contain_text('of 1 GiB')
        expect(bar).not_to_have_attribute(
            'aria-valuenow', first, timeout=60_000
        )
        second = bar.get_attribute('aria-valuenow') or ''
        self.assertGreater(int(second), int(first))
        self.assertEqual(
            f'width: {second}%', (bar.get_attribute('style') or '').strip(' ;')
        )
        expect(row).to_contain_text('success', timeout=120_000)
        expect(bar).to_have_count(0)
        self.assertTrue(self.page.evaluate('window.isTheSame'))
        demo = self.lab.cinder.client('demo')
        (found,) = demo.get(f'/volumes?name={name}')['volumes']
        self._made.append(found['id'])
        return str(found['id'])


class TestOperator(HorizonCase):
    def test_acknowledge(self) -> None:
        body = {'volume': {'size': 1, 'name': 'lost'}}
        demo = self.lab.cinder.client('demo')
        volume_id = demo.post('/volumes', body)['volume']['id']
        self._made.append(volume_id)
        self.wait(volume_id, state='success')
        self.delete_over_there(volume_id)
        self.sign_in('admin', f'admin/volumes/{volume_id}/')
        banner = self.page.locator('.virtdc-alarm')
        for text in ('volume-deleted (major)', 'By admin', 'What to do:'):
            expect(banner).to_contain_text(text)
        self.link('Acknowledge').click()
        form = self.page.locator('.modal-dialog')
        expect(form).to_contain_text('volume-deleted of lost')
        form.get_by_label('Comment').fill('I see to it <b>')
        form.get_by_role('button', name='Acknowledge').click()
        expect(banner).to_contain_text('I see to it <b>')
        expect(self.page).to_have_url(re.compile(f'volumes/{volume_id}/$'))
        expect(self.link('Acknowledge')).to_have_count(0)
        self.link('Platform Alarms').click()
        row = self.row('lost')
        expect(row).to_contain_text('I see to it <b>')
        self.link('Platform Events').click()
        # Whose name administrators may know, they are told.
        expect(self.row('lost', 'create')).to_contain_text('demo')
        expect(self.row('lost', 'delete')).to_contain_text('admin')
        # An address cannot lead users out of the dashboard.
        self.open(
            f'admin/platform_events/alarms/volume-deleted/{volume_id}/'
            'acknowledge/?next=https://evil.example.org/'
        )
        expect(self.link('Cancel')).to_have_attribute(
            'href', '/admin/platform_events/'
        )
        path = f'/alarms/volume-deleted/{volume_id}'
        self.assertEqual('I see to it <b>', self.virtdc.get(path)['comment'])

    def test_cancel_and_retry(self) -> None:
        with self.drained():
            body = {'name': HOSTILE, 'size_bytes': GIB}
            event = self.virtdc.post('/volumes', body)
            volume_id = event['volume_id']
            self.sign_in('admin', 'admin/platform_events/')
            self.filter_by('Volume', volume_id)
            row = self.row('create')
            expect(row).to_have_count(1)
            expect(row).to_contain_text('waiting')
            expect(row).to_contain_text('data centre')
            row.get_by_role('button', name='Cancel Event').click()
            asked = self.page.locator('.modal-dialog')
            expect(asked).to_contain_text('onerror')
            expect(asked.locator('img')).to_have_count(0)
            asked.get_by_text('Cancel Event', exact=True).last.click()
            expect(row).to_contain_text('Cancelled before it was begun')
            expect(row).to_contain_text('Retry it')
        row.get_by_role('button', name='Retry Event').click()
        expect(self.row('create')).to_have_count(2)
        self.addCleanup(self.virtdc.delete, f'/volumes/{volume_id}')
        ended = self.row('create').first
        expect(ended).to_contain_text('success', timeout=60_000)
        expect(ended).to_contain_text(SHOWN)
        self.assertEqual(0, self.page.locator('td img, td b').count())
        ended.get_by_role('link', name='create').click()
        expect(self.page.locator('.virtdc-timeline')).to_contain_text(
            re.compile('waiting.*running.*success', re.DOTALL)
        )
        expect(self.page.locator('body')).to_contain_text(event['event_id'])
        self.assertNotEqual('1', self.page.title())

    def test_filters_and_pages(self) -> None:
        volume_id = self.create('paged')
        self.wait(volume_id, state='success')
        for number in range(4):
            self.cloud.put(
                f'/volumes/{volume_id}',
                {'volume': {'description': str(number)}},
            )
            self.wait_described(volume_id, str(number))
        self.sign_in('admin', 'project/platform_events/')
        self.page.context.add_cookies(
            [
                {
                    'name': 'API_RESULT_PAGE_SIZE',
                    'value': '2',
                    'url': self.url,
                }
            ]
        )
        self.filter_by('Volume', 'paged')
        expect(self.row('edit')).to_have_count(2)
        self.page.get_by_role('link', name='Next').first.click()
        expect(self.row('edit')).to_have_count(2)
        self.page.get_by_role('link', name='Next').first.click()
        expect(self.row('create')).to_have_count(1)
        expect(self.page.get_by_role('link', name='Next')).to_have_count(0)
        self.page.get_by_role('link', name='Prev').first.click()
        expect(self.row('edit')).to_have_count(2)
        self.filter_by('State', 'done')
        expect(self.page.locator('.virtdc-problem')).to_contain_text(
            'waiting, running, success, failed'
        )

    def wait_described(self, volume_id: str, text: str) -> None:
        path = f'/volumes/{volume_id}'
        self.until(
            lambda: self.virtdc.get(path)['description'] == text,
            30,
            lambda: f'{volume_id} is not described as {text}',
        )

    def test_the_data_centre_is_silent_and_comes_back(self) -> None:
        volume_id = self.create('heard')
        self.wait(volume_id, state='success')
        with self.drained():
            body = {'size_bytes': 2 * GIB}
            self.virtdc.post(f'/volumes/{volume_id}/resize', body)
            self.sign_in('admin', 'project/platform_events/')
            row = self.row('resize', 'heard')
            expect(row).to_contain_text('waiting')
            event_id = row.get_attribute('data-object-id')
            self.agent.service.pause()
            try:
                # It takes the connection, and says nothing.
                self.open(f'project/volumes/{volume_id}/')
                expect(
                    self.page.locator('.virtdc-problem').first
                ).to_contain_text('does not answer in time')
            finally:
                self.agent.service.resume()
            self.open('project/platform_events/')
            row = self.page.locator(f'tr[data-object-id="{event_id}"]')
            self.agent.service.stop()
            try:
                expect(row).to_contain_text('no answer', timeout=60_000)
                said = re.compile('No data centre answers at http')
                for path in (
                    'project/platform_events/',
                    f'project/platform_events/{event_id}/',
                    'admin/platform_alarms/',
                    f'project/volumes/{volume_id}/',
                ):
                    self.open(path)
                    expect(
                        self.page.locator('.virtdc-problem').first
                    ).to_contain_text(said)
            finally:
                self.agent.service.start()
            self.open('project/platform_events/')
            expect(self.row('resize', 'heard')).to_contain_text('waiting')
        self.wait(volume_id, state='success', operation='extend')


class TestWithout(HorizonCase):
    def test_a_data_centre_in_the_catalog(self) -> None:
        client = self.keystone.client()
        (service,) = client.get('/services?type=virtdc')['services']

        def enable(is_enabled: bool) -> None:
            client.call(
                'PATCH',
                f'/services/{service["id"]}',
                {'service': {'enabled': is_enabled}},
            )

        enable(False)
        self.addCleanup(enable, True)
        volume_id = self.create('stock')
        self.wait(volume_id, state='success')
        self.sign_in('admin', f'project/volumes/{volume_id}/')
        expect(self.link('Snapshots').first).to_be_visible()
        expect(self.page.get_by_text('Platform Events')).to_have_count(0)
        self.open('project/platform_events/')
        expect(self.page.locator('table.datatable')).to_have_count(0)


class Me(http.server.BaseHTTPRequestHandler):
    """Lets everybody do something, or leads them elsewhere."""

    leads_to: str | None = None
    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers['X-Auth-Token']))
        body = b'{"may": ["events:list"]}'
        self.send_response(302 if self.leads_to else 200)
        if self.leads_to:
            self.send_header('Location', self.leads_to)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


class TestTls(HorizonCase):
    """Whom the plugin trusts, asked in Horizon's own environment."""

    def serve(self, handler: type[Me]) -> str:
        """Return the address of a server with a certificate of its own."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.certificate = f'{folder.name}/certificate'
        key = f'{folder.name}/key'
        subprocess.run(
            [
                *('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes'),
                *('-keyout', key, '-out', self.certificate, '-days', '1'),
                *('-subj', '/CN=127.0.0.1'),
                *('-addext', 'subjectAltName = IP:127.0.0.1'),
            ],
            check=True,
            capture_output=True,
        )
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f'https://127.0.0.1:{server.server_port}'

    def ask(self, url: str) -> Mapping[str, str]:
        """Return what comes of each setting."""
        if self.lab.horizon is None:
            raise AssertionError('the lab has no Horizon')
        done = subprocess.run(
            [
                self.lab.dashboard_venv.installation.program('python'),
                # Beside it lie modules that nothing is to find.
                *('-P', str(Path(__file__).with_name('horizon_program.py'))),
                *(url, self.certificate),
            ],
            env={**os.environ, **self.lab.horizon.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        self.assertEqual(0, done.returncode, done.stderr)
        found: dict[str, str] = json.loads(done.stdout)
        return found

    def test_as_horizon_is_told_to(self) -> None:
        class Honest(Me):
            seen: ClassVar[list[tuple[str, str | None]]] = []

        found = self.ask(self.serve(Honest))
        self.assertIn('certificate verify failed', found['default'])
        self.assertEqual('events:list', found['authority'])
        self.assertEqual('events:list', found['not at all'])
        # Before it is known who that is, they are told nothing.
        self.assertEqual([('/v1/me', 'secret')] * 2, Honest.seen)

    def test_the_token_goes_nowhere_else(self) -> None:
        class Thief(Me):
            seen: ClassVar[list[tuple[str, str | None]]] = []

        class Helper(Me):
            leads_to = self.serve(Thief) + '/v1/me'
            seen: ClassVar[list[tuple[str, str | None]]] = []

        found = self.ask(self.serve(Helper))
        self.assertIn('answered 302', found['not at all'])
        self.assertEqual([], Thief.seen)
