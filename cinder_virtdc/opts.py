"""Every option of the driver and of the listener."""

from __future__ import annotations

from collections.abc import Sequence

from keystoneauth1 import loading
from oslo_config import cfg

from cinder_virtdc.sync.policy import Policy
from virtdc_agent.contract import topics
from virtdc_agent.monitoring import options as monitoring

CINDER_GROUP = 'cinder'
LISTENER_GROUP = 'virtdc'

DRIVER_OPTS = [
    cfg.StrOpt(
        'virtdc_transport_url',
        secret=True,
        help='Message bus of the data centre, as '
        'rabbit://user:password@host:5672/virtdc. It needs a user and a '
        "virtual host of its own: whoever may write to Cinder's bus may do "
        'anything in the cloud. No default.',
    ),
    cfg.StrOpt(
        'virtdc_topic',
        default=topics.RPC_TOPIC,
        help='Topic on which the agent answers, as [agent] topic there. Two '
        'data centres on one virtual host need two.',
    ),
    cfg.StrOpt(
        'virtdc_notification_topic',
        default=topics.NOTIFICATION_TOPIC,
        help='Topic on which the agent tells states, as [agent] '
        'notification_topic there.',
    ),
    cfg.FloatOpt(
        'virtdc_submit_timeout_s',
        default=15.0,
        min=1.0,
        max=600.0,
        help='For how many seconds an operation tries to hand itself to an '
        'agent that does not answer, before it fails. The default outlasts '
        'a restart of the agent. More keeps users waiting longer when it is '
        'down for good.',
    ),
    cfg.FloatOpt(
        'virtdc_rpc_timeout_s',
        default=5.0,
        min=0.5,
        max=60.0,
        help='How many seconds one question to the agent waits for its '
        'answer before it is asked again.',
    ),
    cfg.FloatOpt(
        'virtdc_operation_timeout_s',
        default=3600.0,
        min=1.0,
        max=604800.0,
        help='For how many seconds an operation that the agent has accepted '
        'is waited for, waiting in its queue included. The agent has its '
        'own deadline for each operation, so this ends only what no agent '
        'takes up any more: an hour lets a long queue drain and an agent be '
        'repaired. Less makes operations fail that would have succeeded.',
    ),
    cfg.FloatOpt(
        'virtdc_poll_interval_s',
        default=3.0,
        min=0.1,
        max=60.0,
        help='Seconds between two questions, for all operations together, '
        'about those whose end was not told: after so long a lost message '
        'is noticed. Less costs more questions.',
    ),
    cfg.StrOpt(
        'virtdc_key_file',
        help='File with the keys that are shared with the agent, one on each '
        'line: what is sent is signed with the first, and what comes must be '
        'signed with one of them. As [agent] key_file there. None: nothing '
        'is signed.',
    ),
    cfg.BoolOpt(
        'virtdc_accept_unsigned',
        default=False,
        help='Take also what the agent has not signed: for as long as it has '
        'no keys yet.',
    ),
    cfg.StrOpt(
        'virtdc_mount_point_base',
        default='$state_path/mnt',
        help='Folder under which shares of the data centre are mounted on '
        'this host while Cinder copies images.',
    ),
]

LISTENER_OPTS = [
    cfg.StrOpt(
        'topic',
        default=topics.RPC_TOPIC,
        help='Topic on which the agent answers, as [agent] topic there.',
    ),
    cfg.StrOpt(
        'notification_topic',
        default=topics.NOTIFICATION_TOPIC,
        help='Topic on which the agent tells states, as [agent] '
        'notification_topic there.',
    ),
    cfg.StrOpt(
        'key_file',
        help='File with the keys that are shared with the agent, as [agent] '
        'key_file there. None: nothing is signed.',
    ),
    cfg.BoolOpt(
        'accept_unsigned',
        default=False,
        help='Take also what the agent has not signed: for as long as it has '
        'no keys yet.',
    ),
    cfg.FloatOpt(
        'rpc_timeout_s',
        default=10.0,
        min=0.5,
        max=300.0,
        help='How many seconds one question to the agent waits for its '
        'answer. Pages of 1000 entries are asked for.',
    ),
    cfg.FloatOpt(
        'catch_up_interval_s',
        default=10.0,
        min=0.5,
        max=3600.0,
        help='Every so many seconds the agent is asked what has changed '
        'since the last message. It bounds how long a lost message stays '
        'unnoticed; it costs one small question.',
    ),
    cfg.FloatOpt(
        'repair_interval_s',
        default=15.0,
        min=1.0,
        max=3600.0,
        help='Every so many seconds Cinder is asked for its volumes in '
        'error, to set right those that the data centre has made all the '
        'same.',
    ),
    cfg.FloatOpt(
        'stuck_after_s',
        default=60.0,
        min=1.0,
        max=86400.0,
        help='What Cinder shows as being extended, reverted, deleted or '
        'snapshotted for so many seconds after the data centre was done with '
        'it is stuck, as a cinder-volume has died, and is set right. The '
        'default is far longer than a cinder-volume takes that is alive. '
        'Less may meddle with one that is slow; more keeps users waiting.',
    ),
    cfg.FloatOpt(
        'cloud_interval_s',
        default=10.0,
        min=1.0,
        max=3600.0,
        help='Every so many seconds Cinder is asked which volumes have '
        'changed, to tell the data centre the names and descriptions that '
        'users have edited. It costs one request, unless very many have.',
    ),
    cfg.FloatOpt(
        'resync_interval_s',
        default=300.0,
        min=5.0,
        max=86400.0,
        help='Every so many seconds all volumes of both sides are compared. '
        'It repairs what was changed behind the back of the listener; it '
        "lists Cinder's volumes, 1000 a page.",
    ),
    cfg.ListOpt(
        'hosts',
        default=[],
        help='The Cinder backends of this data centre, as host@backend, to '
        'compare only their volumes. Empty compares all volumes of the '
        'cloud, which is the same but slower where there are many others.',
    ),
    cfg.FloatOpt(
        'hold_after_s',
        default=1.0,
        min=0.0,
        max=3600.0,
        help='A change in the data centre that is open for so many seconds '
        'reserves its volume in Cinder until it has ended, so that nobody '
        'extends, deletes or attaches it meanwhile. What takes less is not '
        'worth four requests to Cinder: then the agent keeps the order.',
    ),
    cfg.StrOpt(
        'on_deletion',
        default=Policy.ASK.value,
        choices=[
            (
                Policy.ASK.value,
                'keep the record, unusable, until a person decides',
            ),
            (Policy.RESTORE.value, 'take the volume out of the trash again'),
            (
                Policy.RECREATE.value,
                'have an empty volume of the same id and size made',
            ),
            (
                Policy.FORGET.value,
                'have Cinder delete its record, unless the volume is in use',
            ),
        ],
        help='What to do about a volume that was deleted in the data centre. '
        'An alarm is raised in any case.',
    ),
    cfg.StrOpt(
        'managed_project_id',
        help='Project into which volumes that the data centre makes are '
        'managed, so that the cloud has them too. The user in [cinder] needs '
        "Cinder's administrator role in it, and for snapshots in the projects "
        'of their volumes. None: what the data centre makes is its own.',
    ),
    cfg.StrOpt(
        'managed_volume_type',
        help='Volume type of those volumes, which must be one of the '
        "driver's backends. Needed if managed_project_id is set.",
    ),
    cfg.FloatOpt(
        'cinder_requests_per_s',
        default=30.0,
        min=0.0,
        max=10000.0,
        help="How many requests a second the listener sends to Cinder's API "
        'at most, after a rest twice as many in the first. Each costs the '
        'API some 20 to 50 ms of processor time. More lets changes in the '
        'data centre be seen sooner when there are many at once; 0 sets no '
        'limit.',
    ),
    cfg.StrOpt(
        'state_path',
        help='Folder in which the listener remembers which alarms it has '
        'told to whom. Without one, it does not tell the end of an alarm '
        'that was cleared while it was down.',
    ),
    cfg.StrOpt(
        'alarm_notification_transport_url',
        secret=True,
        help="The cloud's own message bus, for telling alarms to Ceilometer, "
        'Aodh and others, as rabbit://user:password@host:5672/. None: they '
        'are not told there: queues that nobody reads grow for ever.',
    ),
    cfg.ListOpt(
        'alarm_notification_topics',
        default=['notifications'],
        help='Topics on which alarms are told there: with the priority error '
        'when they are raised or changed, and else info.',
    ),
    cfg.StrOpt(
        'alarm_project_id',
        default='',
        help='Project in whose name alarms are told that are of no project. '
        'Aodh evaluates an event only against alarms of its project.',
    ),
    cfg.StrOpt(
        'alarm_webhook_url',
        help='Address to which each change of an alarm is posted, as '
        'https://host/path. None: nowhere.',
    ),
    cfg.StrOpt(
        'alarm_webhook_secret',
        secret=True,
        help='What the posts are signed with, by HMAC-SHA256; at least 16 '
        'bytes, as of "openssl rand -hex 32".',
    ),
    cfg.FloatOpt(
        'alarm_webhook_timeout_s',
        default=15.0,
        min=0.5,
        max=120.0,
        help='How many seconds one post may take. It keeps nothing waiting '
        'but other posts.',
    ),
    cfg.ListOpt(
        'alarm_webhook_allowed_networks',
        default=[],
        help='Networks of private or loopback addresses, as 10.0.0.0/8, to '
        'which posts may go; there http:// will do. By default only public '
        'addresses are reached, so that the listener cannot be made to call '
        'inner services.',
    ),
    cfg.FloatOpt(
        'write_min_interval_s',
        default=1.0,
        min=0.0,
        max=60.0,
        help='Fewest seconds between two writes of progress to one volume. '
        'The end of an operation is written without this wait.',
    ),
    cfg.IntOpt(
        'write_duty_percent',
        default=50,
        min=1,
        max=100,
        help="Share of the time that is spent writing to Cinder's API. The "
        'rest is rest: the busier the API, the longer a write takes and the '
        'longer the pause after it, so that showing states never keeps the '
        'API from its own work. 100 writes without pauses.',
    ),
]


MONITORING_GROUP, MONITORING_OPTS = monitoring.make_group(
    'virtdc_monitoring', 9789
)


def list_driver_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    """List the options of a backend's section for oslo-config-generator."""
    return [('backend_defaults', DRIVER_OPTS)]


def register_listener_opts(conf: cfg.ConfigOpts) -> None:
    """Make the listener's options known to ``conf``. Idempotent."""
    conf.register_opts(LISTENER_OPTS, group=LISTENER_GROUP)
    conf.register_group(MONITORING_GROUP)
    conf.register_opts(MONITORING_OPTS, group=MONITORING_GROUP)
    loading.register_session_conf_options(conf, CINDER_GROUP)
    loading.register_auth_conf_options(conf, CINDER_GROUP)
    loading.register_adapter_conf_options(conf, CINDER_GROUP)


def list_listener_opts() -> list[tuple[str | cfg.OptGroup, Sequence[cfg.Opt]]]:
    """List the listener's options for oslo-config-generator."""
    credentials = [
        *loading.get_session_conf_options(),
        *loading.get_auth_common_conf_options(),
        *loading.get_auth_plugin_conf_options('password'),
        *loading.get_adapter_conf_options(include_deprecated=False),
    ]
    return [
        (LISTENER_GROUP, LISTENER_OPTS),
        (CINDER_GROUP, credentials),
        (MONITORING_GROUP, MONITORING_OPTS),
    ]
