"""The Cinder driver: volumes of a virtualization data centre, by events."""

from __future__ import annotations

from cinder import interface

from cinder_virtdc.driver.connecting import Connecting
from cinder_virtdc.driver.grouping import Groups
from cinder_virtdc.driver.managing import Managing
from cinder_virtdc.driver.placement import Placement
from cinder_virtdc.driver.snapshots import Snapshots
from cinder_virtdc.driver.volumes import Volumes


@interface.volumedriver
class VirtDCDriver(
    Volumes, Snapshots, Groups, Placement, Managing, Connecting
):
    """Has volumes made and changed by the agent of a data centre.

    Every change is an event. A method returns when its event has succeeded,
    and raises the agent's sentence when it has failed.

    Version history:

    .. code-block:: none

        1.0.0 - create, delete, extend, attach and detach volumes
        1.1.0 - snapshots, volumes from snapshots, from volumes and from
                images, revert, retype in place, several attachments
        1.2.0 - groups, and their snapshots at one instant; several pools and
                exporters, migration between pools, retype to a type of
                another pool, provider information; manage and unmanage
                volumes and snapshots

    """

    VERSION = '1.2.0'
    CI_WIKI_NAME = 'VirtDC_CI'
    # The agent keeps the order of what happens to one volume, whichever
    # process asks for it; nothing is locked here.
    SUPPORTS_ACTIVE_ACTIVE = True
