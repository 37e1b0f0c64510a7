"""The data centre as the API reaches it: seams, and nothing behind them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
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
    :param pools: their names, the first one first; one may have none.
    :param exporters: likewise.
    :param manageables: knows what in the pools may become a volume.
    :param limits: remembers what the policies found.
    :param meter: is told of each request.
    """

    journal: interfaces.Journal
    keeping: interfaces.JournalKeeping
    intake: Intake
    clock: interfaces.Clock
    watch: watching.Watch
    authorizer: policies.Authorizer
    operations: frozenset[events.Operation]
    describe: Callable[[], model.Description]
    pools: Sequence[str]
    exporters: Sequence[str]
    manageables: interfaces.Manageables
    limits: interfaces.LimitHistory
    meter: interfaces.Meter = dataclasses.field(
        default_factory=interfaces.Meter
    )

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

    def check_pool(self, name: str | None) -> None:
        """Refuse a pool that there is not.

        :param name: ``None``: it does not matter which.
        :raises Problem: there is none of this name; names those there are.
        """
        _check_choice('pool', name, self.pools)

    def check_exporter(self, name: str | None) -> None:
        """Refuse an exporter that there is not, likewise."""
        _check_choice('exporter', name, self.exporters)


def _check_choice(field: str, name: str | None, known: Sequence[str]) -> None:
    if name is None or name in known:
        return
    named = ', '.join(filter(None, known))
    raise problems.invalid(
        field,
        f'there is no {field} {name}; '
        + (f'there are: {named}' if named else 'the only one has no name'),
    )
