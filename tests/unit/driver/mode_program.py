"""Run by test_modes: the driver in a process as cinder-volume's.

On a bus within the process it makes volumes, many at once, while some of
the messages are lost, and prints what it saw.
"""

from __future__ import annotations

import json
import threading
from typing import Any
import uuid

from cinder import context as cinder_context
from cinder import monkey_patch
from cinder import objects
from cinder.volume import configuration
from cinder.volume import driver as cinder_driver
from oslo_config import cfg
import oslo_messaging

from cinder_virtdc.bus import fake_agent
from cinder_virtdc import driver
from virtdc_agent.contract import codec
from virtdc_agent.contract import events
from virtdc_agent.contract import topics

VOLUMES = 40


class Endpoint:
    """Passes calls on to the fake agent."""

    target = oslo_messaging.Target(version=topics.RPC_VERSION)

    def __init__(self, agent: fake_agent.FakeAgent) -> None:
        self._agent = agent

    def __getattr__(self, method: str) -> Any:
        if method.startswith(('_', 'oslo_')):
            raise AttributeError(method)
        return lambda context, **arguments: self._agent.call(
            method, arguments, 0
        )


def serve(
    agent: fake_agent.FakeAgent, executor: str
) -> oslo_messaging.RPCServer:
    transport = oslo_messaging.get_rpc_transport(cfg.CONF, url='fake:')
    server = oslo_messaging.get_rpc_server(
        transport,
        oslo_messaging.Target(
            exchange=topics.EXCHANGE, topic=topics.RPC_TOPIC, server='agent'
        ),
        [Endpoint(agent)],
        executor=executor,
    )
    notifier = oslo_messaging.Notifier(
        oslo_messaging.get_notification_transport(cfg.CONF, url='fake:'),
        publisher_id='virtdc-agent.fake',
        driver='messagingv2',
        topics=[topics.NOTIFICATION_TOPIC],
    )
    told = iter(range(10**9))

    def tell(notification: events.Notification) -> None:
        if next(told) % 5 == 0:
            return  # lost
        notifier.info(
            {},
            topics.event_type(notification),
            codec.encode(notification),
        )

    agent.subscribers.append(tell)
    server.start()
    return server


def finish_all(agent: fake_agent.FakeAgent) -> None:
    for count in range(1, VOLUMES + 1):
        event = agent.await_events(count)[count - 1]
        agent.run(event.event_id, 10)
        agent.finish(event.event_id)


def main() -> None:
    oslo_messaging.set_transport_defaults(topics.EXCHANGE)
    cfg.CONF([], default_config_files=[], project='cinder')
    patched = monkey_patch.is_patched()
    agent = fake_agent.FakeAgent()
    server = serve(agent, 'eventlet' if patched else 'threading')
    conf = configuration.Configuration(
        cinder_driver.volume_opts, config_group='virtdc'
    )
    volume_driver = driver.VirtDCDriver(configuration=conf, host='host@virtdc')
    for name, value in (
        ('virtdc_transport_url', 'fake:'),
        ('virtdc_poll_interval_s', 0.5),
    ):
        cfg.CONF.set_override(name, value, group='virtdc')
    volume_driver.do_setup(None)
    volume_driver.check_for_setup_error()
    volumes = [
        objects.Volume(
            cinder_context.get_admin_context(),
            id=str(uuid.uuid4()),
            _name_id=None,
            size=1,
            status='creating',
            host='host@virtdc#virtdc',
            display_name='data',
            display_description='',
            metadata={},
            project_id='project',
            user_id='user',
            volume_type_id=None,
            volume_type=None,
            encryption_key_id=None,
        )
        for _ in range(VOLUMES)
    ]
    threads = [
        threading.Thread(target=volume_driver.create_volume, args=[volume])
        for volume in volumes
    ]
    finisher = threading.Thread(target=finish_all, args=[agent])
    for thread in [finisher, *threads]:
        thread.start()
    for thread in [finisher, *threads]:
        thread.join(30)
    stuck = sum(thread.is_alive() for thread in threads)
    questions = agent.calls.count('get_events')
    volume_driver._session.close()
    server.stop()
    print(
        json.dumps(
            {
                'patched': patched,
                'executor': volume_driver._settings().executor,
                'made': len(agent.volumes),
                'stuck': stuck,
                'questions': questions,
            }
        )
    )
