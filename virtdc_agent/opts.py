"""Every option of the agent."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import os
import socket
from typing import Any

from oslo_config import cfg
from oslo_config import types
from oslo_db import options as database_options

from virtdc_agent.contract import topics
from virtdc_agent.monitoring import options as monitoring

BASE_OPTS = [
    cfg.StrOpt(
        'state_path',
        default='/var/lib/virtdc',
        help='Folder of what the agent keeps: its journal, unless '
        '[database] connection says otherwise.',
    ),
]

AGENT_OPTS = [
    cfg.StrOpt(
        'name',
        default=socket.gethostname(),
        sample_default='<host name>',
        regex=r'[A-Za-z0-9][A-Za-z0-9._-]*',
        max_length=64,
        help='Name of this agent. It must stay the same over restarts: what '
        'an agent of this name left unfinished is taken up again when it '
        'starts. Two agents must not share one.',
    ),
    cfg.StrOpt(
        'backend',
        default='file',
        help='The storage, without pools: a plugin of the namespace '
        'virtdc_agent.backends. "file" keeps volumes as files in a folder; '
        '"memory" forgets them and is for tests.',
    ),
    cfg.ListOpt(
        'pools',
        default=[],
        help='Names of the storages, if there are several, as "fast, slow": '
        'each has a section [pool_<name>] with its backend and the options '
        'of that. The cloud schedules volumes to them by these names. Volumes '
        'that do not ask go to the first, which also has those from before '
        'there were several. None: one storage, as backend says.',
    ),
    cfg.StrOpt(
        'pool_name',
        default='',
        help='Name of the one storage of an agent without pools, as the cloud '
        "is to show it. Empty: the cloud shows the backend's own name. It "
        'must stay the same: volumes remember it.',
    ),
    cfg.StrOpt(
        'exporter',
        default='share',
        help='How hosts reach volumes, without a choice: a plugin of the '
        'namespace virtdc_agent.exporters. "share" hands out files of a '
        'shared file system; "iscsi-tgt" serves raw volumes over iSCSI, from '
        'this machine, to hosts that do not share it.',
    ),
    cfg.ListOpt(
        'exporters',
        default=[],
        help='How hosts reach volumes, if there are several ways, as "share, '
        'iscsi-tgt": volume types choose among these. The first serves those '
        'that do not ask, and whatever was attached before there was a '
        'choice. None: as exporter says.',
    ),
    cfg.StrOpt(
        'topic',
        default=topics.RPC_TOPIC,
        help='Topic on which the agent answers. Agents that share a journal '
        'share it; the drivers must name the same.',
    ),
    cfg.StrOpt(
        'notification_topic',
        default=topics.NOTIFICATION_TOPIC,
        help='Topic on which states are told. The drivers and the listener '
        'must name the same.',
    ),
    cfg.StrOpt(
        'key_file',
        help='File with the keys that are shared with the drivers and the '
        'listener, one on each line, made by "virtdc-manage key generate". '
        'What is sent is signed with the first; a call that is not signed '
        'with one of them is refused. Nobody but the agent may read it. A '
        'changed file is read again within seconds. None: whoever may write '
        'to the virtual host is obeyed.',
    ),
    cfg.BoolOpt(
        'accept_unsigned',
        default=False,
        help='Obey also calls that have no signature: for as long as not '
        'every driver and listener has its keys.',
    ),
    cfg.ListOpt(
        'image_folders',
        default=[],
        help='Folders with images, as an image service keeps them, from '
        'which volumes are made without a detour through the cloud. Absolute '
        'paths, as the cloud names them in the addresses of its images. Only '
        'what lies in them is read, and only after its content was looked '
        'at. None: images come through the cloud.',
    ),
    cfg.IntOpt(
        'max_waiting',
        default=100_000,
        min=1,
        max=10_000_000,
        help='With so many events waiting the agent accepts no more and says '
        "so. More takes more of the journal's disk, about 2 KiB each.",
    ),
    cfg.FloatOpt(
        'trash_s',
        default=86_400.0,
        min=0.0,
        max=365 * 86_400.0,
        help='For how many seconds a volume that was deleted in the data '
        'centre lies in the trash, from where it can be restored. What the '
        'cloud deletes is gone at once. A day is time to notice; more keeps '
        'space taken for longer, as the trash counts as provisioned. 0: no '
        'trash.',
    ),
    cfg.FloatOpt(
        'scan_interval_s',
        default=300.0,
        min=0.0,
        max=86_400.0,
        help='Every so many seconds one agent compares the storage with the '
        'journal, to find what was removed or grown behind its back. A '
        'volume counts as removed when two scans in a row miss it. Less '
        'finds it sooner and lists the storage more often. 0: never.',
    ),
    cfg.IntOpt(
        'scan_vanish_limit',
        default=10,
        min=1,
        max=10_000_000,
        help='If a scan misses more volumes than this at once, or more than '
        'half of them, the storage is not believed: one alarm is raised, and '
        'no volume counts as removed. More lets more go in one scan.',
    ),
    cfg.FloatOpt(
        'drain_timeout_s',
        default=30.0,
        min=0.0,
        help='How many seconds a stopping agent waits for what is running. '
        'What is then unfinished is interrupted and goes back to waiting.',
    ),
]

EXECUTOR_OPTS = [
    cfg.StrOpt(
        'dispatch',
        default='continuous',
        choices=[
            ('continuous', 'start an event as soon as the limit has room'),
            ('interval', 'every interval_s take a batch and run it together'),
        ],
        help='When events are taken. "interval" follows the classic batch '
        'scheme; it waits for the slowest of each batch and so leaves most '
        'of the storage idle when durations differ.',
    ),
    cfg.StrOpt(
        'policy',
        mutable=True,
        default='adaptive',
        help='How many events run at once: a plugin of the namespace '
        'virtdc_agent.policies. "adaptive" searches for the number beyond '
        'which no more gets done, and follows it when it changes. "fixed" '
        'keeps batch_size. "aimd" raises it by 1 while all is well and cuts '
        'it when the storage is overloaded. "shrink" lowers it to what last '
        'succeeded and never raises it again.',
    ),
    cfg.StrOpt(
        'copy_policy',
        mutable=True,
        help='The same for the copy lane: what writes or copies the bytes '
        'of a volume, and takes as long as it is large. Default: as policy.',
    ),
    cfg.BoolOpt(
        'accept_starvation',
        mutable=True,
        default=False,
        help='Permit a policy that may lower its limit to 0 and then runs '
        'nothing until the agent is restarted, as "shrink" does. Without it '
        'the agent refuses to start with such a policy.',
    ),
    cfg.IntOpt(
        'batch_size',
        mutable=True,
        default=10,
        min=1,
        max=1000,
        help='N: how many events run at once, at first. More gives more to '
        'the storage at a time, and takes a thread each.',
    ),
    cfg.IntOpt(
        'copy_batch_size',
        mutable=True,
        default=2,
        min=1,
        max=1000,
        help='The same for the copy lane. Copies share the throughput of the '
        'storage: more at once make each slower.',
    ),
    cfg.IntOpt(
        'max_batch_size',
        mutable=True,
        default=256,
        min=1,
        max=1000,
        help='What no policy exceeds, in either lane.',
    ),
    cfg.FloatOpt(
        'interval_s',
        default=2.0,
        min=0.01,
        max=3600.0,
        help='T1, in seconds: how often a batch is taken (interval), and '
        'how often the policy judges (continuous).',
    ),
    cfg.FloatOpt(
        'timeout_s',
        default=60.0,
        min=0.05,
        max=604800.0,
        help='T2, in seconds: an event that is not finished so long after '
        'its start has failed. A batch is over at the latest then.',
    ),
    cfg.Opt(
        'operation_timeouts',
        type=types.Dict(types.Float(min=0.05, max=604800.0)),
        default={},
        sample_default='create-copy:3600',
        help='T2 of single kinds of operations, in seconds, as '
        '"delete:120,create-copy:3600". A kind is an operation or, of the '
        'copy lane, an operation with "-copy".',
    ),
    cfg.ListOpt(
        'extendable',
        default=[
            *('create-copy', 'snapshot-copy', 'revert-copy', 'clone-copy'),
            *('import-copy', 'migrate-copy'),
        ],
        help='Kinds whose time is extended by progress: they fail when '
        'nothing has moved for as long as T2, or at max_timeout_s.',
    ),
    cfg.FloatOpt(
        'max_timeout_s',
        default=86400.0,
        min=0.05,
        max=604800.0,
        help='Seconds after its start at which an operation fails whatever '
        'its progress.',
    ),
    cfg.IntOpt(
        'retries',
        default=3,
        min=0,
        max=100,
        help='How often an operation is tried again while the storage says '
        'that it is busy, within its time. 0: never.',
    ),
    cfg.FloatOpt(
        'retry_base_s',
        default=0.5,
        min=0.0,
        max=60.0,
        help='Longest pause before the first retry, in seconds; it doubles '
        'with each. The pause is random, so that those that failed together '
        'do not come back together.',
    ),
    cfg.FloatOpt(
        'retry_max_s',
        default=10.0,
        min=0.0,
        max=600.0,
        help='Longest pause before any retry, in seconds.',
    ),
    cfg.FloatOpt(
        'lease_s',
        default=30.0,
        min=1.0,
        max=3600.0,
        help='For how many seconds what an agent has taken is its own '
        'without renewal; it renews three times as often. Shorter has others '
        "take over a dead agent's work sooner, and costs more writes.",
    ),
    cfg.IntOpt(
        'max_losses',
        default=3,
        min=1,
        max=100,
        help='An event is given up as failed/lost, with an alarm, after so '
        'many agents died while they executed it.',
    ),
    cfg.FloatOpt(
        'progress_interval_s',
        default=1.0,
        min=0.1,
        max=10.0,
        help="Fewest seconds between two reports of one event's progress. "
        'Shorter is livelier and costs a write and a message each.',
    ),
]

FILE_GROUP = cfg.OptGroup(
    'backend_file', 'The backend "file": volumes as files in a folder'
)
FILE_OPTS = [
    cfg.StrOpt(
        'path',
        help='Folder of the volumes: an existing folder, on storage that '
        'all hosts share. It holds nothing else. No default: a wrong guess '
        'would fill the system disk.',
    ),
    cfg.StrOpt(
        'format',
        default='raw',
        choices=['raw', 'qcow2'],
        help='Format of volumes that do not ask for one.',
    ),
    cfg.StrOpt(
        'provisioning',
        default='thin',
        choices=[
            ('thin', 'space is taken as it is written'),
            ('thick', 'space is written with zeros when it is created'),
        ],
        help='Provisioning of volumes that do not ask for one.',
    ),
    cfg.FloatOpt(
        'max_over_subscription_ratio',
        default=20.0,
        min=1.0,
        max=1000.0,
        help='How many times its size the storage may be promised to thin '
        'volumes. More risks that it is full while volumes are not.',
    ),
    cfg.IntOpt(
        'reserved_percentage',
        default=0,
        min=0,
        max=100,
        help='Share of the storage, in per cent, that is never given out.',
    ),
    cfg.BoolOpt(
        'require_mount',
        default=False,
        help='Refuse to start unless path is a mount point: against a share '
        'that is not mounted, whose empty folder would be taken for it.',
    ),
]

POOL_GROUP = cfg.OptGroup(
    'pool_<name>', 'A storage that [agent] pools names: one section for each'
)
POOL_OPTS = [
    cfg.StrOpt(
        'backend',
        default='file',
        help='The storage: a plugin of the namespace virtdc_agent.backends. '
        'Its options stand in this section too; below are those of "file".',
    ),
]
POOL_BACKEND_OPTS = {'file': FILE_OPTS}

SHARE_GROUP = cfg.OptGroup(
    'exporter_share', 'The exporter "share": files of a shared file system'
)
SHARE_OPTS = [
    cfg.StrOpt(
        'export',
        help='How compute hosts mount the folder of the volumes, as '
        'filer.example.org:/volumes.',
    ),
    cfg.DictOpt(
        'pool_exports',
        default={},
        help='The same for each pool, if there are several, by its name, as '
        'fast:filer:/fast,slow:filer:/slow.',
    ),
    cfg.StrOpt(
        'mount_options',
        default='',
        help='Options for that mount, as "-o vers=4.2"; empty for none.',
    ),
]

ISCSI_TGT_GROUP = cfg.OptGroup(
    'exporter_iscsi_tgt',
    'The exporter "iscsi-tgt": iSCSI targets of a tgtd on this machine',
)
ISCSI_TGT_OPTS = [
    cfg.ListOpt(
        'portals',
        default=['127.0.0.1:3260'],
        help='Addresses, with ports, that tgtd listens on and that hosts are '
        'told. By default this machine alone reaches volumes. tgtd has to be '
        'started with the same (tgtd --iscsi portal=192.0.2.1:3260): left '
        'alone it listens everywhere, and the agent refuses to start.',
    ),
    cfg.StrOpt(
        'target_prefix',
        default='iqn.2010-10.org.openstack:virtdc',
        help="What the names of targets begin with; the volume's id follows. "
        'The agent takes all targets of this prefix for its own.',
    ),
    cfg.StrOpt(
        'control_socket',
        default='/var/run/tgtd/socket.0',
        help='Socket over which tgtd is directed: with a control port N '
        '(tgtd --control-port) it ends in .N, and TGT_IPC_SOCKET in the '
        'environment of tgtd says how it begins. tgtd serves its own user '
        'and group there: the agent has to run as the same.',
    ),
]

RETENTION_OPTS = [
    cfg.FloatOpt(
        'max_age_s',
        mutable=True,
        default=30 * 86400.0,
        min=0.0,
        help='For how many seconds ended events and the history are kept.',
    ),
    cfg.IntOpt(
        'max_finished',
        mutable=True,
        default=1_000_000,
        min=0,
        help='How many ended events are kept at most; about 2 KiB each.',
    ),
    cfg.FloatOpt(
        'min_age_s',
        mutable=True,
        default=3600.0,
        min=0.0,
        help='What ended less than so many seconds ago is kept in any case: '
        'its caller may still ask again with the same id.',
    ),
    cfg.FloatOpt(
        'interval_s',
        default=60.0,
        min=1.0,
        max=86400.0,
        help='How often, in seconds, what is not to be kept is removed.',
    ),
]

OUTBOX_OPTS = [
    cfg.FloatOpt(
        'retry_interval_s',
        default=1.0,
        min=0.05,
        max=60.0,
        help='Seconds between attempts while the bus does not take messages.',
    ),
    cfg.FloatOpt(
        'poll_interval_s',
        default=0.1,
        min=0.01,
        max=60.0,
        help='How often, in seconds, a journal that several agents share is '
        'searched for what the others wrote: one of them tells it for all. '
        'Shorter tells it sooner and asks the database more often.',
    ),
    cfg.IntOpt(
        'batch',
        default=100,
        min=1,
        max=1000,
        help='How many messages are read from the journal at a time.',
    ),
]

API_GROUP = cfg.OptGroup('api', "The agent's REST API and web console")
API_OPTS = [
    cfg.BoolOpt(
        'enabled',
        default=False,
        help='Serve the REST API from the agent itself. It can also be run '
        'beside the agents, as the WSGI application '
        'virtdc_agent.api.wsgi:application; it then needs the same '
        'configuration.',
    ),
    cfg.HostAddressOpt(
        'bind_host',
        default='127.0.0.1',
        help='Address to listen on. Beyond this machine the agent listens '
        'only with authentication, and warns without TLS.',
    ),
    cfg.PortOpt(
        'bind_port',
        default=8788,
        help='Port to listen on.',
    ),
    cfg.IntOpt(
        'threads',
        mutable=True,
        default=8,
        min=1,
        max=256,
        help='How many requests are answered at once, beside those that '
        'follow changes: max_watchers more threads are for these.',
    ),
    cfg.IntOpt(
        'max_watchers',
        mutable=True,
        default=32,
        min=1,
        max=1024,
        help='How many clients may follow changes at once, by waiting for '
        'them or by a stream; each takes a thread. More are told to come '
        'back later.',
    ),
    cfg.BoolOpt(
        'enable_sse',
        default=True,
        help='Offer changes as a stream of server-sent events. Without it '
        'clients ask again and again, which every proxy understands.',
    ),
    cfg.BoolOpt(
        'console',
        default=True,
        help='Serve the web console under /console/.',
    ),
    cfg.StrOpt(
        'tls_certificate_file',
        mutable=True,
        help='Certificate, with its chain, in PEM. With it the API is '
        'served over TLS alone.',
    ),
    cfg.StrOpt(
        'tls_key_file',
        mutable=True,
        help='Private key of the certificate, in PEM.',
    ),
    cfg.StrOpt(
        'auth_strategy',
        default='token',
        choices=[
            ('token', 'static tokens of tokens_file'),
            ('keystone', 'tokens of Keystone, see [keystone_authtoken]'),
            ('none', 'nobody is asked; only on a loopback address'),
        ],
        help='How callers show who they are.',
    ),
    cfg.StrOpt(
        'tokens_file',
        mutable=True,
        default='$state_path/tokens',
        help='Static tokens, hashed; "virtdc-manage token" writes it. It is '
        'read again when it changes.',
    ),
    cfg.FloatOpt(
        'rate_per_s',
        mutable=True,
        default=50.0,
        min=0.0,
        max=100_000.0,
        help='How many requests a second each caller may make in the long '
        'run. More are answered with 429. 0: as many as they like.',
    ),
    cfg.IntOpt(
        'burst',
        mutable=True,
        default=200,
        min=1,
        max=100_000,
        help='How many requests a caller may make at once after a rest.',
    ),
    cfg.FloatOpt(
        'poll_interval_s',
        default=0.5,
        min=0.05,
        max=60.0,
        help='How often, in seconds, the journal is searched for changes '
        'that other processes made, while somebody follows changes.',
    ),
    cfg.FloatOpt(
        'space_interval_s',
        default=5.0,
        min=0.5,
        max=3600.0,
        help='How often, in seconds, each pool is asked how full it is. '
        'Callers are told the latest answer with its age, so that a storage '
        'that hangs holds no request; after three times as long without an '
        'answer it is told as unknown. Higher asks the storage less.',
    ),
]

MONITORING_GROUP, MONITORING_OPTS = monitoring.make_group('monitoring', 9788)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make all options known to ``conf``. Idempotent."""
    conf.register_opts(BASE_OPTS)
    conf.register_opts(AGENT_OPTS, group='agent')
    conf.register_opts(EXECUTOR_OPTS, group='executor')
    conf.register_opts(OUTBOX_OPTS, group='outbox')
    conf.register_opts(RETENTION_OPTS, group='retention')
    conf.register_opts(database_options.database_opts, group='database')
    conf.register_group(API_GROUP)
    conf.register_opts(API_OPTS, group=API_GROUP)
    conf.register_group(MONITORING_GROUP)
    conf.register_opts(MONITORING_OPTS, group=MONITORING_GROUP)
    conf.register_group(FILE_GROUP)
    conf.register_opts(FILE_OPTS, group=FILE_GROUP)
    conf.register_group(SHARE_GROUP)
    conf.register_opts(SHARE_OPTS, group=SHARE_GROUP)
    conf.register_group(ISCSI_TGT_GROUP)
    conf.register_opts(ISCSI_TGT_OPTS, group=ISCSI_TGT_GROUP)


def section_of(pool: str) -> str:
    """Return the section that describes a pool."""
    return f'pool_{pool}'


def register_pool(conf: cfg.ConfigOpts, section: str) -> None:
    """Make the options of a pool's section known, and read each once.

    Those of a backend that is not among ours are for that to register.

    :raises cfg.Error: a value is out of its range or of another kind; names
        the option.
    """
    conf.register_opts(POOL_OPTS, group=section)
    options = POOL_BACKEND_OPTS.get(conf[section].backend, ())
    conf.register_opts(options, group=section)
    _read(conf[section], options)


def check_values(conf: cfg.ConfigOpts) -> None:
    """Read every option once, so that a bad value is found at the start.

    :raises cfg.Error: a value is out of its range or of another kind; names
        the option.
    """
    for group, options in _OPTS:
        name = group.name if isinstance(group, cfg.OptGroup) else group
        _read(conf if name == 'DEFAULT' else conf[name], options)


def _read(values: Any, options: Iterable[cfg.Opt]) -> None:
    for option in options:
        getattr(values, option.dest)


def connection_of(conf: cfg.ConfigOpts) -> str:
    """Return the journal's address, configured or default."""
    configured: str | None = conf.database.connection
    if configured:
        return configured
    return 'sqlite:///' + os.path.join(conf.state_path, 'journal.sqlite')


def list_opts() -> list[tuple[str | cfg.OptGroup, Sequence[cfg.Opt]]]:
    """List the options for oslo-config-generator."""
    return [
        *_OPTS,
        # Not a section that is read, but how one looks.
        (POOL_GROUP, [*POOL_OPTS, *FILE_OPTS]),
    ]


_OPTS: list[tuple[str | cfg.OptGroup, Sequence[cfg.Opt]]] = [
    ('DEFAULT', BASE_OPTS),
    ('agent', AGENT_OPTS),
    ('executor', EXECUTOR_OPTS),
    ('outbox', OUTBOX_OPTS),
    ('retention', RETENTION_OPTS),
    (API_GROUP, API_OPTS),
    (MONITORING_GROUP, MONITORING_OPTS),
    (FILE_GROUP, FILE_OPTS),
    (SHARE_GROUP, SHARE_OPTS),
    (ISCSI_TGT_GROUP, ISCSI_TGT_OPTS),
]
