"""What can go wrong on the cloud's side.

::

    VirtDCError
    ├── AgentUnreachable     retry later: no answer, or no bus
    ├── AgentRefused         the agent answered no; see its code
    ├── ContractMismatch     never retry: upgrade the older side
    ├── NotTrusted           never retry: an answer that the agent did not sign
    ├── InvalidRequest       never retry: it cannot be put into an event
    ├── NotManageable        never retry: it is not there, or not to be taken
    │   ├── AlreadyManaged     it is a volume already
    │   └── OtherThanAsked     it is not as the volume's type wants it
    ├── OperationUnsupported never retry: the data centre does not offer it
    ├── OperationFailed      the event ended as failed, with a reason
    ├── OperationTimeout     the event has not ended in time
    ├── EventLost            the agent forgot an event that it had accepted
    ├── OutletFailed         retry later: an alarm could not be told
    ├── ConfigInvalid        stop the process: names the option
    └── CloudError           Cinder's API did not do it
        ├── VolumeGone         never retry: there is no such volume
        ├── NotNow             retry later: not in the volume's present status
        ├── OverQuota          retry later: the project has too little left
        ├── CloudForbids       the operator must grant a right
        └── CloudUnavailable   retry later: no answer, or a fault of its own
            └── TooMuch          retry later: it answered "too much"

A message names the thing and the next step, and may be shown to a user.
"""

from __future__ import annotations

from virtdc_agent.contract.events import Reason
from virtdc_agent.contract.events import Transition
from virtdc_agent.contract.rpc import ErrorCode


class VirtDCError(Exception):
    """The root of all errors of this package."""


class AgentUnreachable(VirtDCError):
    """The agent did not answer. What was asked may or may not be done."""


class AgentRefused(VirtDCError):
    """The agent answered, and nothing was done.

    :param field: the field at fault, if the message was malformed.
    """

    def __init__(self, code: ErrorCode, message: str, field: str = '') -> None:
        super().__init__(message)
        self.code = code
        self.field = field


class ContractMismatch(VirtDCError):
    """The agent speaks another version of the contract."""


class NotTrusted(VirtDCError):
    """An answer came that nobody who holds a key can have given."""


class InvalidRequest(VirtDCError):
    """What Cinder asks cannot be put into an event."""


class NotManageable(VirtDCError):
    """What is in the storage cannot be taken over; says why."""


class AlreadyManaged(NotManageable):
    """It is a volume or a snapshot already."""


class OtherThanAsked(NotManageable):
    """It is not as the volume's type wants volumes stored."""


class OperationUnsupported(VirtDCError):
    """The data centre has not declared that it can do this."""


class OperationFailed(VirtDCError):
    """An event ended as failed; the message is the agent's sentence."""

    def __init__(self, transition: Transition) -> None:
        super().__init__(
            transition.message
            or f'The data centre could not {transition.operation} volume '
            f'{transition.volume_id} ({transition.reason}).'
        )
        self.transition = transition

    @property
    def is_rejected(self) -> bool:
        """Whether the request itself was at fault: nothing has changed."""
        return self.transition.reason is Reason.REJECTED


class OperationTimeout(VirtDCError):
    """An event has not ended in the time the driver waits for one."""


class EventLost(VirtDCError):
    """The agent does not know an event that it had accepted."""


class OutletFailed(VirtDCError):
    """An alarm could not be told to those who listen."""


class ConfigInvalid(VirtDCError):
    """The configuration cannot work; names the option and what to do."""


class CloudError(VirtDCError):
    """Cinder's API did not do what was asked."""


class VolumeGone(CloudError):
    """Cinder has no such volume."""


class NotNow(CloudError):
    """Cinder refuses it in the volume's present status."""


class OverQuota(CloudError):
    """The project may not have so much."""


class CloudForbids(CloudError):
    """The listener's credentials are not valid, or lack a right."""


class CloudUnavailable(CloudError):
    """Cinder's API does not answer, or broke."""


class TooMuch(CloudUnavailable):
    """Cinder's API answered that it is too much."""
