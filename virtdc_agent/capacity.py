"""Whether a storage still has room for what is asked of it."""

from __future__ import annotations

from virtdc_agent import exceptions
from virtdc_agent import model
from virtdc_agent.contract.events import Provisioning

GIB = 1024**3


def check_room(
    space: model.StorageSpace,
    provisioned_bytes: int,
    extra_bytes: int,
    provisioning: Provisioning,
) -> None:
    """Refuse what does not fit.

    Thin and thick volumes together may be promised as much as the storage
    less its reserve, times the over-subscription ratio. What is thick must
    also fit in what is physically free beyond the reserve.

    :param provisioned_bytes: what all volumes have been promised already.
    :param extra_bytes: what is asked for now, above 0.
    :raises EventRejected: it does not fit; says how much would.
    """
    usable = space.total_bytes * (100 - space.reserved_percentage) // 100
    promised = int(usable * space.max_over_subscription_ratio)
    left = max(0, promised - provisioned_bytes)
    if extra_bytes > left:
        raise exceptions.EventRejected(
            f'{_gib(extra_bytes)} more does not fit: {_gib(left)} of '
            f'{_gib(promised)} can still be promised. Ask for less, or '
            'delete what is not needed.'
        )
    if provisioning is Provisioning.THICK:
        reserve = space.total_bytes - usable
        free = max(0, space.free_bytes - reserve)
        if extra_bytes > free:
            raise exceptions.EventRejected(
                f'{_gib(extra_bytes)} of thick space does not fit: '
                f'{_gib(free)} of the storage is free. Ask for less, or for '
                'a thin volume.'
            )


def _gib(size_bytes: int) -> str:
    if size_bytes % GIB == 0:
        return f'{size_bytes // GIB} GiB'
    return f'{size_bytes / GIB:.1f} GiB'
