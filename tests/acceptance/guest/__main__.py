"""``tools/acceptance guest``: see its ``--help``."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
import sys
import tempfile
import uuid

from tests.acceptance.guest import cloud as clouds
from tests.acceptance.guest.compute import Compute
from tests.acceptance.guest.console import Console
from tests.acceptance.guest import domain
from tests.acceptance.guest import image
from tests.acceptance.guest.machine import Machine
from tests.acceptance.guest.nova_events import NovaEvents
from tests.acceptance.guest import report as reports
from tests.acceptance.guest import walk
from tests.benchmark import report as benchmark
from tests import tgtd
from tools.lab import catalogue
from tools.lab import configuration
from tools.lab import environment
from tools.lab import errors
from tools.lab import libvirt
from tools.lab import ports
from tools.lab import rest
from tools.lab import stack
from tools.lab import virtdc

HOSTS = ('compute-1', 'compute-2')
_PROGRAMS = Path(__file__).with_name('programs')
_TGT = walk.KINDS[1].exporter


def main() -> int:
    """Walk through the exporters that are asked for; fail if one has."""
    parser = argparse.ArgumentParser(
        prog='tools/acceptance guest',
        description='Volumes in the hands of real guests: QEMU runs '
        "Debian's kernel, libvirt runs QEMU, Nova's libvirt driver and "
        'os-brick attach what Cinder has made. Everything is on loopback; '
        'the guests are emulated and need no KVM. Needs root, 2 GiB of '
        'memory, and some three minutes.',
    )
    parser.add_argument(
        '--exporter',
        choices=[kind.exporter for kind in walk.KINDS],
        action='append',
        help='only with this exporter; may be repeated',
    )
    options = parser.parse_args()
    needed = sorted({*libvirt.missing(), *image.missing(), *tgtd.missing()})
    if needed:
        print(
            f'Skipped: not installed: {", ".join(needed)}. On Debian, '
            'tools/bootstrap guest installs all of it.'
        )
        return 1
    print(benchmark.machine(), flush=True)
    failed = 0
    for kind in walk.KINDS:
        if options.exporter and kind.exporter not in options.exporter:
            continue
        report = reports.Report(f'Exporter {kind.exporter}', _say)
        try:
            _walk(kind, report)
        except Exception as exc:
            if not report.failed:
                # Not in a step: it is told here.
                _say(f'  FAILED  {type(exc).__name__}: {exc}')
            failed += 1
        report.end()
    return 1 if failed else 0


def _walk(kind: walk.Kind, report: reports.Report) -> None:
    with contextlib.ExitStack() as stack_of:
        free = ports.Ports()
        stack_of.callback(free.release)
        events_port = free.take()
        daemon: tgtd.Tgtd | None = None
        agent_options: configuration.Sections = {}
        if kind.exporter == _TGT:
            folder = tempfile.TemporaryDirectory(prefix='virtdc-tgt-')
            daemon = tgtd.Tgtd(Path(stack_of.enter_context(folder)))
            stack_of.callback(daemon.close)
            daemon.start()
            agent_options = {
                'agent': {'exporter': kind.exporter},
                'exporter_iscsi_tgt': {
                    'portals': daemon.portal,
                    'control_socket': daemon.control_socket,
                },
            }
        settings = stack.Settings(
            backends=(virtdc.backend(),),
            agent=virtdc.AgentSettings(options=agent_options),
            listener=virtdc.ListenerSettings(),
            keystone=True,
            share=True,
            share_group=libvirt.GUEST_USER,
            services=(
                catalogue.Entry(
                    'compute', 'nova', f'http://127.0.0.1:{events_port}'
                ),
            ),
        )
        with report.step('start RabbitMQ, MariaDB, Keystone, Cinder, VirtDC'):
            lab = stack.Lab(settings=settings)
            stack_of.enter_context(lab)
            if daemon is not None:
                # Before the volumes are unmounted.
                stack_of.callback(daemon.stop)
            # Guests are another user's; what is secret in here has a mode of
            # its own.
            lab.folder.chmod(0o711)
        cloud = _cloud(lab)
        cloud.make_type(
            walk.MULTIATTACH,
            {'multiattach': '<is> True', 'volume_backend_name': 'virtdc'},
        )
        with report.step("make Nova's environment"):
            place = environment.Environment(
                lab.supervisor,
                environment.ROOT / '.venv-nova',
                name='nova-venv',
                constraints=environment.ROOT / 'constraints-nova.txt',
                packages=('nova', 'os-brick', 'libvirt-python'),
            )
            place.make()
        with report.step('fetch a kernel, make an initramfs'):
            booted = image.make(
                lab.folder / 'guest', environment.ROOT / 'build' / 'guest'
            )
        machines: list[Machine] = []
        for host in HOSTS:
            with report.step(f'start a guest on {host}, up to its shell'):
                machines.append(
                    _start(
                        host,
                        lab=lab,
                        python=place.installation.program('python'),
                        booted=booted,
                        cloud=cloud,
                        stack_of=stack_of,
                    )
                )
        by_server = {one.server_id: one for one in machines}
        events = NovaEvents(
            events_port,
            lambda server, volume: by_server[server].extended(volume),
        )
        events.start()
        stack_of.callback(events.close)
        if lab.agent is None:
            raise errors.LabError('The lab has no agent.')
        walk.Walk(
            kind,
            report,
            cloud=cloud,
            one=machines[0],
            other=machines[1],
            pool=lab.agent.pool,
            agent=lab.agent.service,
        ).run()


def _cloud(lab: stack.Lab) -> clouds.Cloud:
    if lab.keystone is None:
        raise errors.LabError('The lab has no Keystone.')
    user = lab.cinder.client()
    return clouds.Cloud(
        user,
        rest.Rest(
            user.url,
            {
                **user.headers,
                'X-Service-Token': lab.keystone.service_token('nova'),
            },
        ),
    )


def _start(
    host: str,
    *,
    lab: stack.Lab,
    python: str,
    booted: image.Image,
    cloud: clouds.Cloud,
    stack_of: contextlib.ExitStack,
) -> Machine:
    daemon = libvirt.Libvirt(lab.supervisor, host)
    daemon.configure()
    daemon.service.start()
    folder = lab.folder / host
    folder.mkdir()
    conf = configuration.write_sections(
        folder / 'nova.conf',
        {
            'DEFAULT': {
                'host': host,
                'my_ip': '127.0.0.1',
                'state_path': folder,
                'use_stderr': True,
                'debug': True,
            },
            'libvirt': {
                'virt_type': 'qemu',
                'connection_uri': daemon.uri,
            },
            'oslo_concurrency': {'lock_path': folder / 'locks'},
        },
    )
    server_id = str(uuid.uuid4())
    compute = Compute(
        python,
        conf,
        lab.supervisor.log_path(host),
        # What QEMU calls itself over iSCSI for this guest.
        initiator=f'iqn.2008-11.org.linux-kvm:{server_id}',
        beside=daemon.beside(),
        programs=_PROGRAMS,
    )
    stack_of.callback(compute.close)
    # Whom guests run as makes its socket there.
    run = folder / 'run'
    run.mkdir()
    run.chmod(0o777)
    guest = domain.Guest(
        name=host,
        uuid=server_id,
        kernel=booted.kernel,
        initrd=booted.initrd,
        console=run / 'console',
        log=run / 'kernel.log',
    )
    compute.ask('boot', description=domain.describe(guest))
    console = Console(guest.console)
    stack_of.callback(console.close)
    console.connect()
    return Machine(server_id, cloud, compute, console)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == '__main__':
    sys.exit(main())
