"""Who may do what: the rules, in oslo.policy's language.

An operator overrides them in a policy file. Callers of a project reach only
what is of their project; what is of none, and the data centre itself, is for
its operators.
"""

from __future__ import annotations

from collections.abc import Sequence

from oslo_config import cfg
from oslo_policy import opts as policy_opts
from oslo_policy import policy

from virtdc_agent.api import callers

POLICY_FILE = 'policy.yaml'
_SCOPES = ['project']

_ADMIN = 'rule:platform_admin'
_OPERATOR = 'rule:platform_operator'
_PLATFORM_READER = 'rule:platform_reader'
_READER = 'rule:reader'
_MEMBER = 'rule:member_or_operator'

BASES = [
    policy.RuleDefault(
        'platform_admin',
        'role:admin',
        description='Administers the data centre.',
    ),
    policy.RuleDefault(
        'platform_operator',
        'rule:platform_admin or role:operator',
        description='Operates volumes of all projects and of none.',
    ),
    policy.RuleDefault(
        'platform_reader',
        'rule:platform_operator or role:service or '
        '(role:reader and scope:platform)',
        description='Sees everything: operators, services, and readers whose '
        'token is of the data centre itself.',
    ),
    policy.RuleDefault(
        'project_reader',
        '(role:reader or role:member) and project_id:%(project_id)s',
        description='Sees what is of its own project.',
    ),
    policy.RuleDefault(
        'project_member',
        'role:member and project_id:%(project_id)s',
        description='Changes what is of its own project.',
    ),
    policy.RuleDefault(
        'reader', 'rule:platform_reader or rule:project_reader'
    ),
    policy.RuleDefault(
        'member_or_operator', 'rule:platform_operator or rule:project_member'
    ),
]


def _rule(
    name: str, check: str, description: str, method: str, path: str
) -> policy.DocumentedRuleDefault:
    return policy.DocumentedRuleDefault(
        name=f'virtdc:{name}',
        check_str=check,
        description=description,
        operations=[{'method': method, 'path': path}],
        scope_types=_SCOPES,
    )


RULES = [
    _rule('me:show', '', 'See who one is.', 'GET', '/v1/me'),
    _rule('volumes:list', _READER, 'List volumes.', 'GET', '/v1/volumes'),
    _rule(
        'volumes:list_all',
        _PLATFORM_READER,
        'List volumes of all projects.',
        *('GET', '/v1/volumes'),
    ),
    _rule(
        'volumes:show',
        _READER,
        'Show a volume.',
        *('GET', '/v1/volumes/{volume_id}'),
    ),
    _rule('volumes:create', _MEMBER, 'Make a volume.', 'POST', '/v1/volumes'),
    _rule(
        'volumes:recreate',
        _OPERATOR,
        'Make a volume of a given id, in place of one that was lost.',
        *('POST', '/v1/volumes'),
    ),
    _rule(
        'volumes:edit',
        _MEMBER,
        "Change a volume's name, description or metadata.",
        *('PATCH', '/v1/volumes/{volume_id}'),
    ),
    _rule(
        'volumes:resize',
        _MEMBER,
        'Grow a volume.',
        *('POST', '/v1/volumes/{volume_id}/resize'),
    ),
    _rule(
        'volumes:delete',
        _MEMBER,
        'Delete a volume.',
        *('DELETE', '/v1/volumes/{volume_id}'),
    ),
    _rule(
        'volumes:force_delete',
        _OPERATOR,
        'Delete a volume that hosts use.',
        *('DELETE', '/v1/volumes/{volume_id}?force=true'),
    ),
    _rule(
        'volumes:place',
        _OPERATOR,
        'Choose the pool of a new volume, and how hosts are to reach it.',
        *('POST', '/v1/volumes'),
    ),
    _rule(
        'volumes:migrate',
        _OPERATOR,
        'Move a volume to another pool.',
        *('POST', '/v1/volumes/{volume_id}/migrate'),
    ),
    _rule(
        'volumes:unmanage',
        _OPERATOR,
        'Give up a volume, whose bytes stay in the storage.',
        *('POST', '/v1/volumes/{volume_id}/unmanage'),
    ),
    _rule(
        'volumes:manage',
        _OPERATOR,
        'Make a volume of what lies in a pool.',
        *('POST', '/v1/manageable'),
    ),
    _rule(
        'manageable:list',
        _OPERATOR,
        'See what lies in a pool and may become a volume.',
        *('GET', '/v1/manageable'),
    ),
    _rule(
        'snapshots:list', _READER, 'List snapshots.', 'GET', '/v1/snapshots'
    ),
    _rule(
        'snapshots:list_all',
        _PLATFORM_READER,
        'List snapshots of all projects.',
        *('GET', '/v1/snapshots'),
    ),
    _rule(
        'snapshots:show',
        _READER,
        'Show a snapshot.',
        *('GET', '/v1/snapshots/{snapshot_id}'),
    ),
    _rule(
        'snapshots:create',
        _MEMBER,
        'Take a snapshot, of one volume or of several at one instant.',
        *('POST', '/v1/snapshots'),
    ),
    _rule(
        'snapshots:delete',
        _MEMBER,
        'Delete a snapshot.',
        *('DELETE', '/v1/snapshots/{snapshot_id}'),
    ),
    _rule(
        'snapshots:revert',
        _MEMBER,
        'Have a volume read as a snapshot of it.',
        *('POST', '/v1/snapshots/{snapshot_id}/revert'),
    ),
    _rule('events:list', _READER, 'List events.', 'GET', '/v1/events'),
    _rule(
        'events:list_all',
        _PLATFORM_READER,
        'List and follow events of all projects.',
        *('GET', '/v1/events'),
    ),
    _rule(
        'events:show',
        _READER,
        'Show an event with its history.',
        *('GET', '/v1/events/{event_id}'),
    ),
    _rule(
        'events:follow',
        _READER,
        'Follow changes as they happen.',
        *('GET', '/v1/changes'),
    ),
    _rule(
        'events:cancel',
        _MEMBER,
        'Withdraw an event.',
        *('POST', '/v1/events/{event_id}/cancel'),
    ),
    _rule(
        'events:retry',
        _MEMBER,
        'Ask again for what has failed.',
        *('POST', '/v1/events/{event_id}/retry'),
    ),
    _rule(
        'trash:list',
        _READER,
        'List deleted volumes that can still be restored.',
        *('GET', '/v1/trash'),
    ),
    _rule(
        'trash:list_all',
        _PLATFORM_READER,
        'List those of all projects.',
        *('GET', '/v1/trash'),
    ),
    _rule(
        'trash:restore',
        _MEMBER,
        'Have a deleted volume be as it was.',
        *('POST', '/v1/trash/{volume_id}/restore'),
    ),
    _rule(
        'trash:purge',
        _ADMIN,
        'Remove a deleted volume for good.',
        *('DELETE', '/v1/trash/{volume_id}'),
    ),
    _rule(
        'alarms:list', _PLATFORM_READER, 'List alarms.', 'GET', '/v1/alarms'
    ),
    _rule(
        'alarms:acknowledge',
        _OPERATOR,
        'Note that an alarm was seen.',
        *('POST', '/v1/alarms/{kind}/{subject}/acknowledge'),
    ),
    _rule(
        'alarms:clear',
        _OPERATOR,
        'End an alarm.',
        *('POST', '/v1/alarms/{kind}/{subject}/clear'),
    ),
    _rule(
        'resync:show',
        _PLATFORM_READER,
        'See what became of a comparison with the cloud.',
        *('GET', '/v1/resync'),
    ),
    _rule(
        'resync:request',
        _OPERATOR,
        'Have the cloud compare both sides.',
        *('POST', '/v1/resync'),
    ),
    _rule(
        'pools:list',
        _PLATFORM_READER,
        'See how much the storage holds.',
        *('GET', '/v1/pools'),
    ),
    _rule(
        'agents:list', _PLATFORM_READER, 'List agents.', 'GET', '/v1/agents'
    ),
    _rule(
        'agents:drain',
        _ADMIN,
        'Have an agent take no more events, or take them again.',
        *('POST', '/v1/agents/{agent_name}/drain'),
    ),
    _rule(
        'limits:show',
        _PLATFORM_READER,
        'See how many operations may run at once, now and lately.',
        *('GET', '/v1/limits'),
    ),
]


def list_rules() -> Sequence[policy.RuleDefault]:
    """List the rules for oslopolicy-sample-generator."""
    return [*BASES, *RULES]


def rule_names() -> Sequence[str]:
    """List what may be asked of an ``Authorizer``."""
    return [rule.name.removeprefix('virtdc:') for rule in RULES]


def make_enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    """Return what judges by the rules and the configured policy file.

    :raises cfg.Error: the configuration of policies is wrong.
    """
    policy_opts.set_defaults(conf, policy_file=POLICY_FILE)
    enforcer = policy.Enforcer(conf)
    enforcer.register_defaults(list_rules())
    return enforcer


class Authorizer:
    """Says what a caller may do. Safe from any thread."""

    def __init__(self, enforcer: policy.Enforcer) -> None:
        self._enforcer = enforcer

    def allows(
        self, caller: callers.Caller, rule: str, project_id: str
    ) -> bool:
        """Say whether a caller may do something to a project's things.

        :param rule: without its ``virtdc:``.
        :param project_id: empty: they are of no project.
        """
        return bool(
            self._enforcer.authorize(
                f'virtdc:{rule}',
                {'project_id': project_id},
                {
                    'roles': sorted(caller.roles),
                    'user_id': caller.user_id,
                    'project_id': caller.project_id,
                    'scope': caller.scope.value,
                },
            )
        )
