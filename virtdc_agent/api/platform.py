"""The data centre as the API reaches it: seams, and nothing behind them."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses

from virtdc_agent.api import policies
from virtdc_agent.api import problems
from virtdc_agent.api import watching
from virtdc_agent.contract import events
from virtdc_agent.intake import Intake
from virtdc_agent import interfaces
from virtdc_agent import model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Platform:
    """What the resources work on.

    :param operations: what the storage can do.
    :param describe: says what it holds, without waiting for it.
    :param limits: remembers what the policies found.
    """

    journal: interfaces.Journal
    keeping: interfaces.JournalKeeping
    intake: Intake
    clock: interfaces.Clock
    watch: watching.Watch
    authorizer: policies.Authorizer
    operations: frozenset[events.Operation]
    describe: Callable[[], model.Description]
    limits: interfaces.LimitHistory

    def require(self, operation: events.Operation) -> None:
        """Refuse what the storage cannot do.

        :raises Problem: it cannot.
        """
        if operation not in self.operations:
            raise problems.Problem(
                501,
                'operation-not-offered',
                f'This storage does not offer the operation {operation}.',
            )
