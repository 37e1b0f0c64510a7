"""Who may do what: every rule, with those whom it keeps out."""

from __future__ import annotations

from tests.unit.api import base
from virtdc_agent.api import app
from virtdc_agent.api import openapi
from virtdc_agent.api import policies

PLATFORM = {'admin', 'operator', 'reader', 'service', 'cloud-admin'}
OPERATORS = {'admin', 'operator', 'cloud-admin'}
OWN_READERS = {'own-member', 'own-reader'}
OWN_MEMBERS = {'own-member'}

V, S, E = '/v1/volumes/v1', '/v1/snapshots/s1', '/v1/events/EVENT'
SIZE = {'size_bytes': base.GIB * 2}
MINE = {**SIZE, 'project_id': base.OWN}

ALLOWED = {
    'volumes:list': ('GET', '/v1/volumes', None, PLATFORM | OWN_READERS),
    'volumes:list_all': (
        *('GET', f'/v1/volumes?project_id={base.OWN}', None),
        PLATFORM | OWN_READERS,
    ),
    'volumes:show': ('GET', V, None, PLATFORM | OWN_READERS),
    'volumes:create': (
        *('POST', '/v1/volumes', MINE, OPERATORS | OWN_MEMBERS),
    ),
    'volumes:recreate': (
        *('POST', '/v1/volumes', {**MINE, 'volume_id': 'lost'}, OPERATORS),
    ),
    'volumes:place': (
        *('POST', '/v1/volumes', {**MINE, 'exporter': 'memory'}, OPERATORS),
    ),
    'volumes:migrate': (
        *('POST', f'{V}/migrate', {'pool': 'none'}, OPERATORS),
    ),
    'volumes:unmanage': ('POST', f'{V}/unmanage', None, OPERATORS),
    'volumes:manage': (
        *('POST', '/v1/manageable'),
        *({'reference': 'disk.img', 'project_id': base.OWN}, OPERATORS),
    ),
    'manageable:list': ('GET', '/v1/manageable', None, OPERATORS),
    'volumes:edit': ('PATCH', V, {'name': 'x'}, OPERATORS | OWN_MEMBERS),
    'volumes:force_delete': (*('DELETE', f'{V}?force=true', None, OPERATORS),),
    'volumes:resize': (
        *('POST', f'{V}/resize', SIZE, OPERATORS | OWN_MEMBERS),
    ),
    'volumes:delete': ('DELETE', V, None, OPERATORS | OWN_MEMBERS),
    'snapshots:list': ('GET', '/v1/snapshots', None, PLATFORM | OWN_READERS),
    'snapshots:list_all': (
        *('GET', f'/v1/snapshots?project_id={base.OWN}', None),
        PLATFORM | OWN_READERS,
    ),
    'snapshots:show': ('GET', S, None, PLATFORM | OWN_READERS),
    'snapshots:create': (
        *('POST', '/v1/snapshots', {'volume_id': 'v1'}),
        OPERATORS | OWN_MEMBERS,
    ),
    'snapshots:delete': ('DELETE', S, None, OPERATORS | OWN_MEMBERS),
    'snapshots:revert': (
        *('POST', f'{S}/revert', None, OPERATORS | OWN_MEMBERS),
    ),
    'events:list': ('GET', '/v1/events', None, PLATFORM | OWN_READERS),
    'events:list_all': (
        *('GET', f'/v1/events?project_id={base.OWN}', None),
        PLATFORM | OWN_READERS,
    ),
    'events:show': ('GET', E, None, PLATFORM | OWN_READERS),
    'events:follow': ('GET', '/v1/changes', None, PLATFORM | OWN_READERS),
    'events:cancel': ('POST', f'{E}/cancel', None, OPERATORS | OWN_MEMBERS),
    'events:retry': ('POST', f'{E}/retry', None, OPERATORS | OWN_MEMBERS),
    'trash:list': ('GET', '/v1/trash', None, PLATFORM | OWN_READERS),
    'trash:list_all': (
        *('GET', f'/v1/trash?project_id={base.OWN}', None),
        PLATFORM | OWN_READERS,
    ),
    'trash:restore': (
        *('POST', '/v1/trash/t1/restore', None, OPERATORS | OWN_MEMBERS),
    ),
    'trash:purge': (
        *('DELETE', '/v1/trash/t1', None, {'admin', 'cloud-admin'}),
    ),
    'alarms:list': ('GET', '/v1/alarms', None, PLATFORM),
    'alarms:acknowledge': (
        *('POST', '/v1/alarms/k/v1/acknowledge', {}, OPERATORS),
    ),
    'alarms:clear': ('POST', '/v1/alarms/k/v1/clear', None, OPERATORS),
    'resync:show': ('GET', '/v1/resync', None, PLATFORM),
    'resync:request': ('POST', '/v1/resync', None, OPERATORS),
    'pools:list': ('GET', '/v1/pools', None, PLATFORM),
    'agents:list': ('GET', '/v1/agents', None, PLATFORM),
    'agents:drain': (
        *('POST', '/v1/agents/a/drain', None, {'admin', 'cloud-admin'}),
    ),
    'limits:show': ('GET', '/v1/limits', None, PLATFORM),
    'me:show': ('GET', '/v1/me', None, set(base.CALLERS)),
}
"""For each rule a request of a thing of the project OWN, and who may."""


class TestRules(base.ApiCase):
    def setUp(self) -> None:
        super().setUp()
        self.put_volume()
        self.put_snapshot()
        self.put_trash()
        self.put_file()
        self.keeping.request_resync('alice')

    def test_each_is_tried(self) -> None:
        names = {rule.name.removeprefix('virtdc:') for rule in policies.RULES}
        self.assertEqual(names, set(ALLOWED))

    def test_each_keeps_out_whom_it_must(self) -> None:
        for rule, request in ALLOWED.items():
            method, path, body, allowed = request
            for caller in base.CALLERS:
                with self.subTest(rule=rule, caller=caller):
                    self.check(method, path, body, caller, caller in allowed)

    def check(self, method, path, body, caller, allowed) -> None:
        event = self.ask('POST', '/v1/volumes', MINE, caller='operator').json[
            'event_id'
        ]
        asked = self.ask(
            method, path.replace('EVENT', event), body, caller=caller
        )
        self.ask('POST', f'/v1/events/{event}/cancel')
        if allowed:
            self.assertNotIn(asked.status_code, (401, 403), asked.text)
            if 'k/v1' not in path:
                self.assertNotEqual(404, asked.status_code, asked.text)
        elif caller == 'other-member' and asked.status_code == 200:
            # A list: of one's own project, where there is nothing.
            self.assertNotIn('"v1"', asked.text)
            self.assertNotIn(event, asked.text)
        else:
            self.assertIn(asked.status_code, (403, 404), asked.text)

    def test_across_projects_nothing_is_there(self) -> None:
        for path in (V, S):
            for method in ('GET', 'DELETE'):
                mine = self.ask(method, path, caller='other-member')
                none = self.ask(method, path[:-1] + '7', caller='other-member')
                self.assertEqual(404, mine.status_code)
                self.assertEqual(mine.json['code'], none.json['code'])

    def test_what_is_of_no_project_is_the_operators(self) -> None:
        self.put_volume('v0', '')
        for caller in base.CALLERS:
            with self.subTest(caller=caller):
                status = self.ask(
                    'GET', '/v1/volumes/v0', caller=caller
                ).status_code
                if caller in PLATFORM:
                    self.assertEqual(200, status)
                else:
                    self.assertIn(status, (403, 404))

    def test_nobody_gets_in_without_a_name(self) -> None:
        for route in app.list_routes(self.platform):
            for method, action in openapi.actions_of(route):
                public = getattr(route.resource, 'is_public', False)
                for name in ('volume_id', 'snapshot_id', 'event_id'):
                    path = route.path.replace(f'{{{name}}}', 'v1')
                for headers in ({}, {'X-Test-Caller': 'stranger'}):
                    with self.subTest(action=action.name, headers=headers):
                        result = self.ask(
                            method.upper(),
                            path,
                            caller=None,
                            headers=headers,
                        )
                        self.assertEqual(not public, result.status_code == 401)
                        if not public:
                            self.assertEqual(
                                'Test', result.headers['WWW-Authenticate']
                            )
                            self.clock.advance(2)

    def test_each_guarded_action_names_a_rule_that_there_is(self) -> None:
        names = {rule.name for rule in policies.RULES}
        for route in app.list_routes(self.platform):
            for _, action in openapi.actions_of(route):
                if not getattr(route.resource, 'is_public', False):
                    self.assertIn(f'virtdc:{action.rule}', names)


class TestPolicyFile(base.ApiCase):
    def make_enforcer(self, conf):
        path = self.folder / 'policy.yaml'
        path.write_text('"virtdc:volumes:delete": "rule:platform_admin"\n')
        enforcer = policies.make_enforcer(conf)
        conf.set_override('policy_file', str(path), group='oslo_policy')
        enforcer.policy_file = str(path)
        return enforcer

    def test_an_operator_overrides_a_rule(self) -> None:
        self.put_volume()
        self.refused(
            403,
            'forbidden',
            self.ask('DELETE', '/v1/volumes/v1', caller='own-member'),
        )
        self.accepted(self.ask('DELETE', '/v1/volumes/v1'))


class TestOwnership(base.ApiCase):
    def test_of_what_a_member_makes(self) -> None:
        event = self.accepted(
            self.ask('POST', '/v1/volumes', SIZE, caller='own-member')
        )
        self.assertEqual(base.OWN, event['requested_by']['project_id'])

    def test_who_is_of_no_project_makes_nothing(self) -> None:
        self.refused(
            403,
            'forbidden',
            self.ask('POST', '/v1/volumes', SIZE, caller='unscoped'),
        )
        self.assertEqual(0, self.count_events())
