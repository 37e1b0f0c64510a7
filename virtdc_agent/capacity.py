"""How much a storage can still promise. Pure, so that tables can test it."""

from __future__ import annotations

from virtdc_agent.contract.events import Provisioning
from virtdc_agent import exceptions
from virtdc_agent import model

GIB = 1024**3


def check_room(
    space: model.StorageSpace,
    provisioned_bytes: int,
    extra_bytes: int,
    provisioning: Provisioning,
) -> None:
    """Refuse what the storage could not keep.

    Two bounds. The sum of all sizes stays within what may be promised: the
    size without the reserve, times the over-subscription ratio. And what is
    thick must fit, today, into what is unused without the reserve.

    :param provisioned_bytes: the sum of the sizes of all volumes.
    :param extra_bytes: what is to be added: a volume, or its growth.
    :raises EventRejected: it does not fit; says how much would.
    """
    usable_bytes = get_usable(space)
    promisable_bytes = int(usable_bytes * space.max_over_subscription_ratio)
    left_bytes = max(0, promisable_bytes - provisioned_bytes)
    if extra_bytes > left_bytes:
        raise exceptions.EventRejected(
            f'There is no room for {size_text(extra_bytes)}: '
            f'{size_text(left_bytes)} of {size_text(promisable_bytes)} can '
            'still be promised. Ask for less, or delete volumes.'
        )
    if provisioning is Provisioning.THICK:
        reserve_bytes = space.total_bytes - usable_bytes
        free_bytes = max(0, space.free_bytes - reserve_bytes)
        if extra_bytes > free_bytes:
            raise exceptions.EventRejected(
                f'There is no room for {size_text(extra_bytes)} of thick '
                f'provisioning: {size_text(free_bytes)} of '
                f'{size_text(usable_bytes)} are unused. Ask for less or for '
                'thin provisioning, or delete volumes.'
            )


def get_usable(space: model.StorageSpace) -> int:
    """Return the storage's size without its reserve."""
    return space.total_bytes * (100 - space.reserved_percentage) // 100


def size_text(size_bytes: int) -> str:
    """Write a size for people; in bytes too unless it is whole GiB."""
    if size_bytes % GIB == 0:
        return f'{size_bytes // GIB} GiB'
    return f'{size_bytes / GIB:.2f} GiB ({size_bytes} bytes)'
