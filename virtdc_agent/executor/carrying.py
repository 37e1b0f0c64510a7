"""Bytes from one pool into another: what both sides must offer.

The one opens a volume for reading, the other makes a volume of it as it does
of an image. So any two kinds of storage can be combined, and what receives
keeps all its promises: nothing is seen before it is whole.
"""

from __future__ import annotations

import contextlib

from virtdc_agent.contract.events import Format
from virtdc_agent.contract.events import ImportParameters
from virtdc_agent.contract.events import Operation
from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent.executor import outcomes
from virtdc_agent import interfaces
from virtdc_agent import model
from virtdc_agent.pools import Pool


def opened(
    pool: Pool, volume_id: str, snapshot_id: str | None = None
) -> contextlib.AbstractContextManager[model.OpenImage]:
    """Open a volume, or a snapshot of it, while the body runs.

    :raises EventRejected: there is none, or this storage cannot.
    """
    if Operation.MIGRATE not in pool.backend.operations:
        raise exceptions.EventRejected(
            f'Volumes of pool {pool.name} cannot be copied to other pools: '
            'its storage cannot be read from.'
        )
    return pool.backend.opened(volume_id, snapshot_id)


def receive(
    pool: Pool,
    volume_id: str,
    image: model.OpenImage,
    size_bytes: int,
    format_: Format | None,
    provisioning: Provisioning,
    context: interfaces.OperationContext,
) -> model.VolumeFacts:
    """Make a volume in a pool that begins as what is open.

    :param format_: ``None``: as what is open.
    :raises EventRejected: this storage cannot, or something has the name.
    """
    if Operation.IMPORT not in pool.backend.operations:
        raise exceptions.EventRejected(
            f'Volumes cannot be copied to pool {pool.name} from other pools: '
            'its storage does not take them.'
        )
    format_ = format_ or image.format
    outcomes.check_choices(pool.backend, format_, provisioning)
    return pool.backend.import_image(
        volume_id,
        ImportParameters(
            url='',
            image_format=image.format.value,
            size_bytes=size_bytes,
            format=format_,
            provisioning=provisioning,
        ),
        image,
        context,
    )
