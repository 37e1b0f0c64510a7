"""What can go wrong in the agent, by what to do about it.

::

    AgentError
    ├── ConfigInvalid            stop the process; a person must act
    ├── EventRejected            never retry: the request is at fault
    ├── EventConflict            the event id belongs to another event
    ├── EventNotFound            no such event
    ├── VolumeNotFound           no such volume
    ├── VolumeChanged            look at it again: it is not as you knew it
    │   └── VolumeChanging       likewise, once what is done to it has ended
    ├── SnapshotNotFound         no such snapshot
    ├── AgentNotFound            no such agent
    ├── AlarmNotFound            no such alarm
    ├── ResyncNotFound           no such comparison
    ├── LeaseLost                forget the claim: it is another's now
    ├── OperationCancelled       stop working on it, leave nothing behind
    ├── BackendError             the storage is at fault
    │   ├── BackendBusy          it had too much to do (says something of load)
    │   └── BackendUnavailable   it cannot be reached or is full
    ├── JournalUnavailable       retry later: nothing was written
    └── PublishFailed            retry later: the message may not have left

A message names the thing and the next step, and may be shown to the user
whose event it ends: no host paths, no secrets.
"""

from __future__ import annotations


class AgentError(Exception):
    """The root of all errors of the agent."""


class ConfigInvalid(AgentError):
    """The configuration cannot work; names the option and valid choices."""


class EventRejected(AgentError):
    """The request cannot be met however often it is tried."""


class EventConflict(AgentError):
    """An event of this id exists and says something else."""


class EventNotFound(AgentError):
    """No event of this id was ever accepted, or it was purged."""


class VolumeNotFound(AgentError):
    """The data centre has no such volume."""


class VolumeChanged(AgentError):
    """A volume is not as the request supposes; nothing was written."""


class VolumeChanging(VolumeChanged):
    """Something is being done to it that the request knows nothing of."""


class SnapshotNotFound(AgentError):
    """The data centre has no such snapshot."""


class AgentNotFound(AgentError):
    """No agent of this name has ever joined the journal."""


class ResyncNotFound(AgentError):
    """No such comparison was asked for."""


class AlarmNotFound(AgentError):
    """This alarm is not raised."""


class LeaseLost(AgentError):
    """A claim is no longer ours: nothing was written on its behalf."""


class OperationCancelled(AgentError):
    """The deadline passed, or the event was cancelled, before the commit."""


class BackendError(AgentError):
    """The storage failed; the operation left nothing behind."""


class BackendBusy(BackendError):
    """The storage had more to do than it could; fewer at once may help."""


class BackendUnavailable(BackendError):
    """The storage cannot be reached, or has no room."""


class JournalUnavailable(AgentError):
    """The database did not take it; nothing was written."""


class PublishFailed(AgentError):
    """The bus did not confirm the message."""
