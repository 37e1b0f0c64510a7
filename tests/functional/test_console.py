"""The web console in a real browser, on the real agent."""

from __future__ import annotations

import datetime
from typing import Any
import uuid

from playwright.sync_api import expect

from tests.functional import browser
from virtdc_agent.api import tokens
from virtdc_agent.contract import alarms
from virtdc_agent.contract import events
from virtdc_agent import model
from virtdc_agent.scheduling import Lane

GIB = browser.GIB
HOSTILE = '<img src=x onerror="document.title=1"><b>&amp;\u202eevil'


class ConsoleCase(browser.BrowserCase):
    def do(
        self,
        operation: events.Operation,
        volume_id: str,
        parameters: Any,
        *,
        user_id: str = 'alice',
        origin: events.Origin = events.Origin.CLOUD,
    ) -> str:
        """Have an event happen as if somebody else had asked for it."""
        event = events.Event(
            event_id=str(uuid.uuid4()),
            operation=operation,
            volume_id=volume_id,
            origin=origin,
            parameters=parameters,
            created_at=datetime.datetime.now(datetime.UTC),
            requested_by=events.Requester(project_id='p', user_id=user_id),
        )
        self.agent.journal.append(event)
        return event.event_id

    def create(self, name: str, volume_id: str = 'v', **more: Any) -> str:
        parameters = events.CreateParameters(
            size_bytes=GIB, name=name, description=f'of {name}'
        )
        return self.do(events.Operation.CREATE, volume_id, parameters, **more)

    def volumes(self) -> dict[str, events.Volume]:
        """Return what there is, by name."""
        page = self.agent.journal.get_volumes(None, 100)
        return {one.name: one for one in page.volumes}

    def state_of(self, name: str, state: str) -> None:
        expect(self.row(name)).to_contain_text(state)


class TestLife(ConsoleCase):
    def test_of_a_volume(self) -> None:
        """Create, rename, resize, snapshot, delete, restore."""
        self.open()
        expect(
            self.page.get_by_text('There are no volumes yet')
        ).to_be_visible()
        self.button('New volume').click()
        self.dialog.get_by_label('Name').fill('db')
        self.dialog.get_by_label('Size in GiB').fill('2')
        self.button('Create').click()
        self.finished('create of db: success')
        self.state_of('db', 'ready')
        volume = self.volumes()['db']
        path = self.folder / 'pool' / f'volume-{volume.volume_id}'
        self.assertEqual(2 * GIB, path.stat().st_size)

        self.button('Edit db').click()
        self.dialog.get_by_label('Name').fill('orders')
        self.dialog.get_by_label('Description').fill('of the shop')
        self.button('Add an entry').click()
        self.dialog.get_by_label('Key').fill('owner')
        self.dialog.get_by_label('Value').fill('bob')
        self.button('Save').click()
        self.finished('edit of db: success')
        self.state_of('orders', 'of the shop')
        edited = self.volumes()['orders']
        self.assertEqual('of the shop', edited.description)
        self.assertEqual('bob', edited.metadata['owner'])

        self.button('Resize orders').click()
        size = self.dialog.get_by_label('New size in GiB')
        expect(size).to_have_value('3')
        for wrong in ('2', '', '3.5', '1e3', '-1'):
            size.fill(wrong)
            self.button('Resize').click()
            expect(self.dialog.get_by_role('alert')).to_contain_text(
                'at least 3'
            )
        size.fill('5')
        self.button('Resize').click()
        self.state_of('orders', '5 GiB')
        self.assertEqual(5 * GIB, path.stat().st_size)

        self.button('Take a snapshot of orders').click()
        self.dialog.get_by_label('Name of the snapshot').fill('before')
        self.button('Take snapshot').click()
        self.state_of('orders', '1 snapshot')
        blocked = self.page.get_by_role('button', name='Delete orders')
        expect(blocked).to_have_attribute('aria-disabled', 'true')
        expect(blocked).to_have_accessible_name(
            'Delete orders: not now, it has 1 snapshot'
        )
        # Playwright would wait for what is not to come.
        blocked.click(force=True)
        expect(self.dialog).to_have_count(0)
        self.go('Snapshots')
        self.button('Delete the snapshot before').click()
        self.button('Delete').click()
        expect(self.page.get_by_text('There are no snapshots')).to_be_visible()

        self.go('Volumes')
        self.button('Delete orders').click()
        self.dialog.get_by_role('textbox').fill('order')
        expect(self.button('Delete')).to_have_attribute(
            'aria-disabled', 'true'
        )
        self.dialog.get_by_role('textbox').press('Enter')
        self.assertIn('orders', self.volumes())
        self.dialog.get_by_role('textbox').fill('orders')
        self.button('Delete').click()
        self.finished('delete of orders: success')
        expect(self.row('orders')).to_have_count(0)
        self.assertFalse(path.exists())

        self.go('Trash')
        self.button('Restore orders').click()
        expect(self.page.get_by_text('The trash is empty')).to_be_visible()
        self.go('Volumes')
        self.state_of('orders', '5 GiB')
        self.assertEqual(5 * GIB, path.stat().st_size)
        expect(self.page.locator('#tasks')).to_contain_text('restore orders')

    def test_by_keyboard_alone(self) -> None:
        self.open()
        keys = self.page.keyboard
        self.tab_to('New volume')
        keys.press('Enter')
        keys.type('by-keys')
        keys.press('Tab')
        keys.press('ControlOrMeta+a')
        keys.type('3')
        keys.press('Enter')
        self.finished('create of by-keys: success')
        expect(self.dialog).to_have_count(0)
        self.assertEqual('New volume', self.focused())
        self.state_of('by-keys', 'ready')
        self.tab_to('Delete by-keys')
        keys.press('Enter')
        expect(self.dialog).to_be_visible()
        keys.press('Escape')
        expect(self.dialog).to_have_count(0)
        self.assertEqual('Delete by-keys', self.focused())
        keys.press('Enter')
        expect(self.dialog.get_by_role('textbox')).to_be_focused()
        keys.type('by-keys')
        keys.press('Enter')
        self.finished('delete of by-keys: success')
        self.assertEqual({}, self.volumes())

    def tab_to(self, name: str) -> None:
        for _ in range(60):
            self.page.keyboard.press('Tab')
            if self.focused() == name:
                return
        self.fail(f'no way to {name} by keyboard')

    def focused(self) -> str:
        element = self.page.locator(':focus')
        if element.count() != 1:
            return ''
        return (
            element.get_attribute('aria-label') or element.inner_text()
        ).strip()

    def test_what_is_refused(self) -> None:
        """The sentence, the field and the request are shown; it stays open."""
        self.create('old')
        self.open()
        self.button('Edit old').click()
        self.button('Add an entry').click()
        self.dialog.get_by_label('Key').fill('virtdc.own')
        self.dialog.get_by_label('Value').fill('x')
        self.button('Save').click()
        alert = self.dialog.get_by_role('alert')
        expect(alert).to_contain_text('metadata')
        expect(alert).to_contain_text('req-')
        self.button('Remove the entry').click()
        # Somebody else was faster.
        self.do(
            events.Operation.EDIT, 'v', events.EditParameters(name='newer')
        )
        self.state_of('newer', 'ready')
        self.dialog.get_by_label('Name').fill('mine')
        self.button('Save').click()
        expect(alert).to_contain_text('has changed: look at it again')
        self.button('Cancel').click()
        self.assertIn('newer', self.volumes())


class TestPlaces(ConsoleCase):
    """What operators do about where volumes lie."""

    text = """
[agent]
pools = fast, slow
exporters = share, memory

[exporter_share]
pool_exports = fast:filer:/fast, slow:filer:/slow

[pool_fast]
backend = file
path = {folder}/pool

[pool_slow]
backend = file
path = {folder}/slow
"""

    def configure(self) -> Any:
        (self.folder / 'slow').mkdir(exist_ok=True)
        return super().configure()

    def more(self, name: str, choice: str) -> None:
        self.button(f'More for {name}').click()
        self.dialog.get_by_label(choice).check()
        self.button('Continue').click()

    def test_where_a_volume_lies(self) -> None:
        """Create in a pool, move, give up, manage again."""
        self.open()
        self.button('New volume').click()
        self.dialog.get_by_label('Name').fill('db')
        self.dialog.get_by_label('Pool').select_option('slow')
        self.dialog.get_by_label('Reached by').select_option('memory')
        self.button('Create').click()
        self.finished('create of db: success')
        volume = self.volumes()['db']
        file = f'volume-{volume.volume_id}'
        self.assertEqual(
            ('slow', 'memory'),
            (volume.pool, volume.metadata[events.EXPORTER_KEY]),
        )
        self.assertTrue((self.folder / 'slow' / file).exists())

        self.more('db', 'Move to another pool')
        expect(self.dialog).to_contain_text('Now in slow')
        self.button('Move').click()
        self.finished('move of db: success')
        self.assertEqual('fast', self.volumes()['db'].pool)
        self.assertTrue((self.folder / 'pool' / file).exists())
        self.assertFalse((self.folder / 'slow' / file).exists())

        self.more('db', 'Give up, and keep its file')
        self.dialog.get_by_role('textbox').fill('db')
        self.button('Give up').click()
        self.finished('unmanage of db: success')
        expect(self.row('db')).to_have_count(0)
        self.assertEqual({}, self.volumes())

        self.button('Manage a file').click()
        self.dialog.get_by_label('Pool').select_option('slow')
        expect(self.dialog).to_contain_text('nothing but volumes')
        self.dialog.get_by_label('Pool').select_option('fast')
        listed = self.dialog.get_by_label('What lies there')
        expect(listed.locator('option')).to_have_count(1)
        listed.select_option(index=0)
        self.dialog.get_by_label('Name of the volume').fill('again')
        self.button('Manage').click()
        self.finished('manage of again: success')
        self.state_of('again', 'ready')
        self.assertEqual(GIB, self.volumes()['again'].size_bytes)

    def test_snapshots_of_several(self) -> None:
        for name, volume_id in (('one', 'v'), ('two', 'w'), ('used', 'u')):
            self.create(name, volume_id)
        self.connect('u')
        self.open()
        self.state_of('used', 'web-1')
        self.button('Snapshot several').click()
        expect(self.dialog.get_by_label('used')).to_be_disabled()
        self.dialog.get_by_label('one').check()
        expect(self.button('Take snapshots')).to_have_attribute(
            'aria-disabled', 'true'
        )
        self.dialog.get_by_label('two').check()
        self.dialog.get_by_label('Name of the snapshots').fill('before')
        self.button('Take snapshots').click()
        self.finished('snapshot group of one: success')
        self.go('Snapshots')
        expect(self.row('before')).to_have_count(2)

    def test_deleted_though_something_says_that_it_is_used(self) -> None:
        self.create('stale')
        self.connect('v')
        self.open()
        self.state_of('stale', 'web-1')
        self.more('stale', 'Delete, although it is in use')
        expect(self.dialog).to_contain_text('in use by web-1')
        expect(self.button('Delete')).to_have_attribute(
            'aria-disabled', 'true'
        )
        self.dialog.get_by_role('textbox').fill('stale')
        self.button('Delete').click()
        self.finished('delete of stale: success')
        self.assertEqual({}, self.volumes())
        event = self.page.evaluate(
            "fetch('/v1/events?operation=delete').then((one) => one.json())"
        )['events'][0]
        self.assertTrue(event['parameters']['force'])
        # It was the cloud's: operators may make it anew, empty.
        self.go('Alarms')
        self.button('Make stale anew').click()
        self.button('Make it anew').click()
        self.finished('create of stale: success')
        self.assertEqual('v', self.volumes()['stale'].volume_id)
        expect(self.page.get_by_text('No alarm is raised')).to_be_visible()

    def connect(self, volume_id: str) -> None:
        self.do(
            events.Operation.CONNECT,
            volume_id,
            events.ConnectParameters(
                host='web-1', connector={'host': 'web-1'}
            ),
        )


class TestShown(ConsoleCase):
    executes = False

    def finish(self, claim: model.Claim, **change: Any) -> None:
        self.agent.journal.settle(claim, model.Outcome(**change))

    def claim(self) -> model.Claim:
        (claim,) = self.agent.journal.claim(Lane.QUICK, 1)
        return claim

    def test_progress_without_reload(self) -> None:
        self.open('events')
        self.create('slow')
        self.state_of('slow', 'waiting')
        claim = self.claim()
        self.state_of('slow', 'running')
        bar = self.row('slow').get_by_role('progressbar')
        expect(bar).not_to_have_attribute('value', '0')
        self.assertIsNone(bar.get_attribute('value'))
        self.agent.journal.record_progress(
            claim,
            model.Progress(
                bytes_done=48 * GIB, bytes_total=100 * GIB, phase='copying'
            ),
        )
        expect(bar).to_have_attribute('value', '48')
        self.state_of('slow', '48 % · copying · 48 GiB of 100 GiB')
        self.finish(
            claim,
            state=events.State.FAILED,
            reason=events.Reason.BACKEND,
            message='The filer is full.',
        )
        self.state_of('slow', 'the storage failed: The filer is full.')
        expect(self.page.locator('#tasks')).to_contain_text('is full')
        self.button('Retry create of slow').click()
        expect(self.row('slow')).to_have_count(2)
        self.button('Cancel create of slow').click()
        self.button('Cancel it').click()
        expect(self.row('slow').first).to_contain_text('cancelled')

    def test_a_storage_that_is_silent(self) -> None:
        told: dict[str, Any] = {
            **dict.fromkeys(['total_bytes', 'free_bytes', 'age_s']),
            **{'read_at': None, 'state': 'unknown'},
        }

        def tell(route: Any) -> None:
            answer = route.fetch()
            body = answer.json()
            body['pools'][0].update(told)
            route.fulfill(response=answer, json=body)

        self.page.route('**/v1/pools', tell)
        self.open('centre')
        self.state_of('default', 'has not said yet how full it is')
        expect(self.page.locator('main meter')).to_have_count(0)
        told |= {
            **{'total_bytes': 4 * GIB, 'free_bytes': GIB, 'age_s': 90.0},
            'read_at': '2026-01-01T00:00:00.000000Z',
        }
        self.page.reload()
        self.state_of('default', '75 % of 4 GiB')
        self.state_of('default', 'The storage does not answer; this is from')

    def test_names_are_nothing_but_text(self) -> None:
        self.create(HOSTILE, user_id='<script>alert(1)</script>')
        claim = self.claim()
        self.finish(
            claim,
            state=events.State.FAILED,
            reason=events.Reason.BACKEND,
            message=HOSTILE,
        )
        self.agent.journal.raise_alarm(
            kind='volume-deleted',
            subject='v',
            severity=alarms.Severity.MAJOR,
            message=HOSTILE,
        )
        for view in ('events', 'alarms'):
            self.open(view)
            expect(
                self.page.locator('main').get_by_text(HOSTILE).first
            ).to_be_visible()
            self.assertEqual(0, self.page.locator('img, main script').count())
        self.open('events')
        self.page.get_by_role('button', name='Details').first.click()
        expect(self.dialog).to_contain_text(HOSTILE)
        self.assertNotEqual('1', self.page.title())

    def test_the_connection_drops_and_comes_back(self) -> None:
        self.create('early')
        self.open('events')
        self.state_of('early', 'waiting')
        self.agent.stop()
        banner = self.page.locator('#banner')
        expect(banner).to_contain_text('Disconnected, showing data of')
        expect(self.page.locator('#views')).to_have_css('opacity', '0.5')
        self.state_of('early', 'waiting')
        self.agent = self.start_agent()
        self.create('late', 'w')
        expect(banner).to_be_hidden(timeout=20_000)
        self.state_of('late', 'waiting')

    def test_who_uses_a_volume_and_what_is_wrong(self) -> None:
        self.agent.stop()
        self.executes = True
        self.agent = self.start_agent()
        self.create('used')
        self.do(
            events.Operation.CONNECT,
            'v',
            events.ConnectParameters(
                host='web-1', connector={'host': 'web-1'}
            ),
        )
        self.open()
        self.state_of('used', 'web-1')
        expect(
            self.page.get_by_role('button', name='Delete used')
        ).to_have_accessible_name('Delete used: not now, in use by web-1')
        self.agent.journal.raise_alarm(
            kind='volume-deleted',
            subject='gone',
            severity=alarms.Severity.MAJOR,
            message='It is gone.',
        )
        self.go('Alarms')
        self.button('Acknowledge volume-deleted of gone').click()
        self.dialog.get_by_label('Comment').fill('I look at it')
        self.button('Acknowledge').click()
        self.state_of('gone', 'I look at it')
        self.button('Clear volume-deleted of gone').click()
        self.button('Clear').click()
        expect(self.page.get_by_text('No alarm is raised')).to_be_visible()
        self.go('Data centre')
        self.button('Drain agent-1').click()
        self.button('Drain').click()
        self.state_of('agent-1', 'drained')
        self.button('Have agent-1 take events again').click()
        self.state_of('agent-1', 'working')
        expect(self.page.locator('main meter')).to_have_count(1)
        expect(self.page.locator('svg.chart')).to_have_count(2)


class TestPoll(ConsoleCase):
    """Without server-sent events."""

    settings = {('api', 'enable_sse'): False}

    def test_changes_come_all_the_same(self) -> None:
        self.open()
        self.create('polled')
        self.state_of('polled', 'ready')


class TestSession(ConsoleCase):
    settings = {('api', 'auth_strategy'): 'token'}

    def configure(self) -> Any:
        path = self.folder / 'tokens'
        if not path.exists():
            lines = []
            self.tokens = {}
            for name, role in (('bob', 'admin'), ('eve', 'reader')):
                self.tokens[name], entry = tokens.make(name, [role], '')
                lines.append(entry.line)
            path.touch(0o600)
            path.write_text('\n'.join(lines))
        return super().configure()

    def test_in_and_out(self) -> None:
        asked: list[str] = []
        self.page.on('request', lambda request: asked.append(request.url))
        self.page.goto(self.address)
        token = self.page.get_by_label('Token')
        token.fill('virtdc_wrong')
        self.button('Sign in').click()
        expect(self.page.locator('#login-error')).to_contain_text('not known')
        token.fill(self.tokens['bob'])
        token.press('Enter')
        self.await_live()
        expect(self.page.locator('#who')).to_contain_text('bob')
        expect(self.button('New volume')).to_be_visible()
        # It is kept while the tab is, and nowhere else.
        self.page.reload()
        self.await_live()
        self.assertEqual([], self.page.context.cookies())
        self.assertEqual(0, self.page.evaluate('localStorage.length'))
        self.assertNotIn('virtdc_', ' '.join(asked))
        self.button('Sign out').click()
        expect(token).to_be_visible()
        self.assertEqual(0, self.page.evaluate('sessionStorage.length'))
        self.create('theirs')
        token.fill(self.tokens['eve'])
        token.press('Enter')
        self.state_of('theirs', 'ready')
        expect(self.page.locator('main').get_by_role('button')).to_have_count(
            0
        )
