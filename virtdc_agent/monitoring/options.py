"""The options of both processes for who watches them."""

from __future__ import annotations

from oslo_config import cfg


def make_group(
    name: str, default_port: int
) -> tuple[cfg.OptGroup, list[cfg.Opt]]:
    """Return a group of this name with the options."""
    return cfg.OptGroup(name, 'Metrics and health, over HTTP'), [
        cfg.BoolOpt(
            'enabled',
            default=False,
            help='Serve /metrics for Prometheus, and /healthcheck and '
            '/healthcheck/live for who routes or restarts. It takes a port '
            'and four threads.',
        ),
        cfg.HostAddressOpt(
            'bind_host',
            default='127.0.0.1',
            help='Address to listen on. Nobody is asked who they are, and '
            'there is no TLS: what is told has no names of volumes, users or '
            'projects, but how much there is and how it is doing. Beyond '
            'this machine, let only who watches reach it.',
        ),
        cfg.PortOpt(
            'bind_port',
            default=default_port,
            help='Port on which monitoring is served; each process of a '
            'machine needs one of its own.',
        ),
        cfg.URIOpt(
            'otlp_address',
            schemes=['http', 'https'],
            help='Collector to which traces of events are sent, over OTLP '
            'and HTTP, as http://127.0.0.1:4318. Only events are traced that '
            'came with a trace, as those of Cinder do while it traces; what '
            'is sent has ids of volumes. It needs virtdc[tracing]. None: '
            'nothing is traced.',
        ),
    ]
