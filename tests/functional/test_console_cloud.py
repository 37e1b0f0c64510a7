"""The web console for users of Keystone, and the cloud that follows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from playwright.sync_api import expect

from tests.functional import browser
from tests.functional import test_rest
from tools.lab import identity


class TestCloud(browser.PageCase, test_rest.RestCase):
    """With Keystone and TLS, and the cloud behind it."""

    page_options: ClassVar[Mapping[str, Any]] = {'ignore_https_errors': True}

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        test_rest.end_secure_lab()

    def setUp(self) -> None:
        super().setUp()
        self.open_page()

    @property
    def address(self) -> str:
        return f'https://127.0.0.1:{self.port}/console/'

    def sign_in(self, user: str = identity.ADMIN) -> None:
        self.page.goto(self.address)
        token = self.page.get_by_label('Keystone token')
        token.fill(self.keystone.headers(user)['X-Auth-Token'])
        token.press('Enter')
        self.await_live()

    def test_a_user_of_keystone_signs_in(self) -> None:
        self.page.goto(self.address)
        token = self.page.get_by_label('Keystone token')
        expect(self.page.get_by_text('openstack token issue')).to_be_visible()
        token.fill('made-up')
        token.press('Enter')
        expect(self.page.locator('#login-error')).to_contain_text('not known')
        volume_id = self.create(name='of the administrator')
        self.wait(volume_id, state='success')
        self.sign_in('demo')
        # Of another project there is nothing, and the data centre itself is
        # not for users.
        expect(
            self.page.get_by_text('There are no volumes yet')
        ).to_be_visible()
        expect(
            self.page.get_by_role('link', name='Data centre')
        ).to_have_count(0)
        self.button('Sign out').click()
        self.sign_in()
        expect(self.row('of the administrator')).to_have_count(1)
        self.assertEqual([], self.page.context.cookies())

    def test_the_cloud_follows(self) -> None:
        """What a person does here Cinder shows there."""
        volume_id = self.create(name='shared')
        self.wait(volume_id, state='success')
        self.sign_in()
        self.button('New volume').click()
        self.dialog.get_by_label('Name').fill('only here')
        self.button('Create').click()
        self.finished('create of only here: success')

        self.button('Resize shared').click()
        self.dialog.get_by_label('New size in GiB').fill('3')
        self.button('Resize').click()
        self.finished('resize of shared: success')
        self.until(
            lambda: self.show(volume_id)['size'] == 3,
            60,
            lambda: str(self.show(volume_id)),
        )
        self.wait(volume_id, 'available')

        self.button('Edit shared').click()
        self.dialog.get_by_label('Name').fill('renamed')
        self.dialog.get_by_label('Description').fill('in the console')
        self.button('Save').click()
        self.finished('edit of shared: success')
        self.until(
            lambda: self.show(volume_id)['name'] == 'renamed',
            60,
            lambda: str(self.show(volume_id)),
        )
        self.assertEqual('in the console', self.show(volume_id)['description'])

        self.button('Delete renamed').click()
        self.dialog.get_by_role('textbox').fill('renamed')
        self.button('Delete').click()
        self.finished('delete of renamed: success')
        shown = self.wait(volume_id, 'error', alarm='volume-deleted')
        self.assertIn('Deleted', shown['metadata']['virtdc.alarm_message'])
        self.assertEqual(3, shown['size'])
        self.go('Alarms')
        expect(self.row('renamed')).to_contain_text('volume-deleted')
        self.go('Trash')
        self.button('Restore renamed').click()
        self.wait(volume_id, 'available')
        self.go('Volumes')
        expect(self.row('renamed')).to_contain_text('3 GiB')
