"""Every seam of the agent on one page.

Parts know each other only through these. Each has an in-memory version and,
where third parties may write their own, a suite in ``conformance``.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import datetime
import threading
from typing import Any, ClassVar, Protocol, Self

from virtdc_agent.contract import alarms
from virtdc_agent.contract import events
from virtdc_agent.contract import resyncs
from virtdc_agent import model
from virtdc_agent.scheduling import Lane


class Clock(abc.ABC):
    """Time, so that tests can own it. Safe from any thread."""

    @abc.abstractmethod
    def now(self) -> datetime.datetime:
        """Return the time of day, aware, in UTC."""

    @abc.abstractmethod
    def monotonic(self) -> float:
        """Return seconds that never go back; deadlines are told in these."""

    @abc.abstractmethod
    def wait(
        self, condition: threading.Condition, timeout_s: float | None
    ) -> bool:
        """Wait on a held condition, at most for a time.

        :returns: ``False`` if the time passed first.
        """


class Alarms(abc.ABC):
    """What a person must see: one row by kind and subject.

    What is raised inside an event is raised with its end. Safe from any
    thread, beside any number of running agents. Each method is a transaction.

    :raises JournalUnavailable: from any method; ask again later.
    """

    @abc.abstractmethod
    def get_alarms(self, marker: str | None, limit: int) -> model.AlarmPage:
        """Return up to ``limit`` raised alarms that follow ``marker``."""

    @abc.abstractmethod
    def get_alarm(self, kind: str, subject: str) -> alarms.Alarm:
        """Return an alarm that is raised.

        :raises AlarmNotFound: it is not.
        """

    @abc.abstractmethod
    def get_alarm_notices(
        self, after: int, limit: int
    ) -> Sequence[alarms.AlarmNotice]:
        """Return what has become of alarms since a revision, in its order.

        Only the latest of each.
        """

    @abc.abstractmethod
    def raise_alarm(
        self,
        *,
        kind: str,
        subject: str,
        severity: alarms.Severity,
        message: str,
        details: Mapping[str, object] | None = None,
    ) -> model.AlarmNews:
        """Raise an alarm, or count one that is raised already.

        With the same content it is counted and nothing else: its revision
        stays. With another it is news, and not acknowledged any more.
        """

    @abc.abstractmethod
    def acknowledge_alarm(
        self, kind: str, subject: str, by: str, comment: str
    ) -> alarms.Alarm:
        """Note that someone has seen an alarm.

        :raises AlarmNotFound: it is not raised.
        """

    @abc.abstractmethod
    def clear_alarm(self, kind: str, subject: str) -> bool:
        """End an alarm whose cause is gone.

        :returns: whether it was raised; one that was not is fine.
        """


class Marks(abc.ABC):
    """Who does what several could do, and what is to be done once.

    By a lease, and for good when it is done. Safe from any thread, beside any
    number of running agents. Each method is a transaction.

    :raises JournalUnavailable: from any method; ask again later.
    """

    @abc.abstractmethod
    def take_mark(self, name: str, holder: str, lease_s: float) -> model.Mark:
        """Take a mark, unless it is settled or another holds it.

        Whoever holds it has it again, for as long as is asked for now.
        """

    @abc.abstractmethod
    def settle_mark(self, name: str, holder: str) -> None:
        """Note that what a mark stands for is done; idempotent.

        Also if its lease has ended: what is done is done.
        """


class Resyncs(abc.ABC):
    """The comparison of both sides that somebody has asked for last.

    Safe from any thread, beside any number of running agents. Each method is
    a transaction.

    :raises JournalUnavailable: from any method; ask again later.
    """

    @abc.abstractmethod
    def request_resync(self, by: str) -> resyncs.Resync:
        """Ask for one; one that nobody has begun is the same."""

    @abc.abstractmethod
    def get_resync(self) -> resyncs.Resync | None:
        """Return the last; ``None``: none was ever asked for."""

    @abc.abstractmethod
    def take_resync(
        self, listener: str, lease_s: float
    ) -> resyncs.Resync | None:
        """Begin what was asked for; ``None``: there is nothing to begin.

        What another has begun and not ended is begun anew when its lease is
        over.
        """

    @abc.abstractmethod
    def end_resync(
        self, number: int, listener: str, counts: Mapping[str, int]
    ) -> resyncs.Resync:
        """Note what was found; one that has ended stays as it is.

        :raises ResyncNotFound: it is not the latest.
        """


class Journal(Alarms, Marks, Resyncs):
    """The durable log of events, and of the volumes they leave.

    The one authority on state, for one agent or for several that share it.
    Every method is one transaction: what it wrote is on disk when it
    returns, and when it raises nothing was written. Safe from any thread. No
    method's cost grows with the number of finished events, nor of waiting
    ones.

    An agent's claims last as long as its lease, which ``join`` begins and
    ``renew`` extends. Once it has ended, others may take them over; whatever
    is then written on their behalf is refused.

    :raises JournalUnavailable: from any method; ask again later.
    """

    is_shared: bool
    """Whether other agents may write to it, who tell us nothing."""

    @property
    @abc.abstractmethod
    def data_centre(self) -> str:
        """Name it for ever: the same for all agents that share it."""

    @abc.abstractmethod
    def join(self) -> model.Takeover:
        """Begin a life of this agent; take over from its former one.

        To be called once, before all that claims. What an agent of this
        name left running waits again, what it had kept closed is open.
        """

    @abc.abstractmethod
    def renew(self) -> model.Membership:
        """Extend this agent's lease, or begin a new one if it has ended.

        :raises LeaseLost: another life of this agent has begun, and this one
            has to end.
        """

    @abc.abstractmethod
    def leave(self) -> None:
        """End this agent's life: what it still holds is others' at once."""

    @abc.abstractmethod
    def take_over(self) -> model.Takeover:
        """Put back what agents left whose lease has ended.

        Their running events wait again, as suspects. One of which too many
        agents died is ``failed/lost``, with an alarm.
        """

    @abc.abstractmethod
    def get_fences(self) -> Collection[int]:
        """Return the fences of all operations that may still go on.

        Those that run, and those that keep a volume closed, of all agents.
        """

    @abc.abstractmethod
    def append(
        self,
        event: events.Event,
        *,
        max_waiting: int | None = None,
        unchanged: events.Volume | None = None,
    ) -> events.Transition:
        """Accept an event as ``waiting``; return its latest transition.

        Idempotent: an event already there is left as it is.

        :param max_waiting: with so many waiting, no other is accepted.
        :param unchanged: the event's volume as its caller knows it. If it
            is otherwise by now, or another event of it is not over, the
            event is not accepted: of several callers that know the same, one
            succeeds.
        :raises EventConflict: the id is there with another content.
        :raises VolumeChanged: see ``unchanged``.
        :raises JournalUnavailable: also if ``max_waiting`` are waiting.
        """

    @abc.abstractmethod
    def claim(self, lane: Lane, limit: int) -> Sequence[model.Claim]:
        """Take up to ``limit`` waiting events for this agent: ``running``.

        An event is taken only if no earlier event on any of its resources is
        unfinished, so claims never overlap on a volume and follow the order
        of acceptance, across all agents. Among the others the urgent go
        first, and then each project and each origin has its fair share.
        Suspects are not taken.

        :raises LeaseLost: this agent's lease has ended: renew it first.
        """

    @abc.abstractmethod
    def claim_suspect(self, lane: Lane) -> model.Claim | None:
        """Take the oldest suspect that waits in a lane, if there is one.

        :raises LeaseLost: this agent's lease has ended: renew it first.
        """

    @abc.abstractmethod
    def retry(self, claim: model.Claim) -> model.Claim:
        """Begin another attempt of a running event; return its new claim.

        It stays ``running``, told with its new attempt and no progress. The
        former claim is void.

        :raises LeaseLost: the claim is no longer ours.
        """

    @abc.abstractmethod
    def record_progress(
        self, claim: model.Claim, progress: model.Progress
    ) -> None:
        """Note how far a running event has come.

        Never lowers the percentage within an attempt.

        :raises LeaseLost: the claim is no longer ours.
        """

    @abc.abstractmethod
    def settle(
        self, claim: model.Claim, outcome: model.Outcome
    ) -> events.Transition:
        """End a running event, and change its volume, in one transaction.

        Settling a claim again that this very claim settled returns what was
        settled first.

        :raises LeaseLost: the event is not this claim's any more.
        """

    @abc.abstractmethod
    def release(self, claim: model.Claim) -> None:
        """Put a running event back to ``waiting``, in its old place.

        :raises LeaseLost: the claim is no longer ours.
        """

    @abc.abstractmethod
    def fence_off(
        self, claim: model.Claim, outcome: model.Outcome
    ) -> events.Transition:
        """End a running event but keep its resources closed.

        For an operation that was given up while the backend is still at it:
        the event is final, yet later events of its volume stay waiting until
        ``unfence``. Survives a restart: ``join`` opens what a dead agent had
        kept closed.

        :raises LeaseLost: the claim is no longer ours.
        """

    @abc.abstractmethod
    def unfence(
        self, claim: model.Claim, change: model.VolumeChange | None
    ) -> None:
        """Open the resources that ``fence_off`` kept, with a last change.

        Idempotent; does nothing if others have opened them since.
        """

    @abc.abstractmethod
    def cancel(self, event_id: str) -> events.Transition:
        """Withdraw an event.

        One that was never begun is ``failed/cancelled`` at once. Of one
        that runs, or waits to be begun again and may have left something in
        the storage, the wish is noted for its holder. A final one stays as
        it is.

        :returns: its latest transition.
        :raises EventNotFound: there is none.
        """

    @abc.abstractmethod
    def get_cancelled(
        self, claims: Collection[model.Claim]
    ) -> Sequence[model.Claim]:
        """Return those of these running claims that are to be withdrawn."""

    @abc.abstractmethod
    def get_latest(
        self, event_ids: Collection[str]
    ) -> Mapping[str, events.Transition]:
        """Return the latest transition of each event that exists."""

    @abc.abstractmethod
    def get_event(self, event_id: str) -> events.Event:
        """Return an event.

        :raises EventNotFound: there is none.
        """

    @abc.abstractmethod
    def get_changes(self, after: int, limit: int) -> model.Changes:
        """Return up to ``limit`` transitions that follow ``after``."""

    @abc.abstractmethod
    def get_unpublished(
        self, limit: int, *, after: int = 0
    ) -> Sequence[events.Transition]:
        """Return the first transitions that are not noted as published.

        And that follow ``after``: the caller has published up to there.
        None if another agent that is alive is the one to publish: there is
        one at a time, so that what is told keeps its order.
        """

    @abc.abstractmethod
    def mark_published(self, sequence: int) -> None:
        """Note that all up to ``sequence`` is on the bus. Never goes back."""

    @abc.abstractmethod
    def get_volume(self, volume_id: str) -> events.Volume:
        """Return a volume.

        :raises VolumeNotFound: there is none.
        """

    @abc.abstractmethod
    def get_volumes(self, marker: str | None, limit: int) -> model.VolumePage:
        """Return up to ``limit`` volumes whose id follows ``marker``."""

    @abc.abstractmethod
    def get_snapshots(
        self, volume_id: str | None, marker: str | None, limit: int
    ) -> model.SnapshotPage:
        """Return up to ``limit`` snapshots whose id follows ``marker``.

        :param volume_id: only of this volume.
        """

    @abc.abstractmethod
    def get_trash(
        self,
        marker: str | None,
        limit: int,
        *,
        until: datetime.datetime | None = None,
    ) -> model.TrashPage:
        """Return up to ``limit`` volumes in the trash, whose id follows.

        :param until: only those whose time is up by then.
        """

    @abc.abstractmethod
    def get_trashed(self, volume_id: str) -> events.TrashedVolume:
        """Return a volume that lies in the trash.

        :raises VolumeNotFound: it does not.
        """

    @abc.abstractmethod
    def become_scanner(self) -> bool:
        """Take the role of who compares storage and journal, for all agents.

        :returns: whether it is this agent's; not while another one has it
            that is alive.
        """

    @abc.abstractmethod
    def count(self) -> model.Counts:
        """Say how much there is of what."""

    @abc.abstractmethod
    def count_lately(self) -> model.Counts:
        """Say the same as of when this agent last wrote, and ask nobody.

        Exact where no other writes; where others do, at most a second old.
        """

    @abc.abstractmethod
    def subscribe(
        self, callback: Callable[[], None], lane: Lane | None = None
    ) -> None:
        """Have ``callback`` called after each commit that made a transition.

        In the committing thread: it must only set a flag and return. It is
        a hint; other agents' commits are not told.

        :param lane: call it only if an event of this lane may now begin
            that could not before.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the database. No other call may follow."""


class JournalKeeping(Alarms, Resyncs):
    """What people and programs do to a journal beside executing it.

    Safe from any thread, beside any number of running agents.

    :raises JournalUnavailable: from any method; ask again later.
    """

    @abc.abstractmethod
    def get_records(self, query: model.RecordQuery) -> model.RecordPage:
        """Return a page of events, newest first."""

    @abc.abstractmethod
    def get_record(self, event_id: str) -> model.Record:
        """Return all that is known of an event.

        :raises EventNotFound: there is none.
        """

    @abc.abstractmethod
    def get_history(self, event_id: str) -> Sequence[events.Transition]:
        """Return the transitions of an event that are still kept, in order.

        :raises EventNotFound: there is no such event.
        """

    @abc.abstractmethod
    def count_ahead(self, event_id: str, most: int) -> int | None:
        """Return how many waiting events are likely begun before this one.

        Of its lane, by their present order; not exact, since others may
        begin first whose volume is free. At most ``most``, where counting
        ends.

        :returns: ``None``: it does not wait.
        :raises EventNotFound: there is no such event.
        """

    @abc.abstractmethod
    def get_volume_page(self, query: model.VolumeQuery) -> model.VolumeListing:
        """Return a page of volumes."""

    @abc.abstractmethod
    def get_snapshot(self, snapshot_id: str) -> events.Snapshot:
        """Return a snapshot.

        :raises SnapshotNotFound: there is none.
        """

    @abc.abstractmethod
    def get_snapshot_page(
        self, query: model.SnapshotQuery
    ) -> model.SnapshotPage:
        """Return a page of snapshots, by id."""

    @abc.abstractmethod
    def get_agents(self) -> Sequence[model.AgentRecord]:
        """Return the agents that have joined, by name."""

    @abc.abstractmethod
    def survey(self) -> model.Survey:
        """Say how it is doing.

        Its cost grows with what waits, and with nothing else.
        """

    @abc.abstractmethod
    def set_draining(self, name: str, is_draining: bool) -> None:
        """Have an agent take no more events, or take them again.

        It hears of it within some seconds, and stays so over restarts.

        :raises AgentNotFound: none of this name has ever joined.
        """

    @abc.abstractmethod
    def purge(self, retention: model.Retention) -> model.Purged:
        """Forget what need not be kept, in small transactions."""

    @abc.abstractmethod
    def check(self) -> Sequence[str]:
        """Compare what the tables say of each other; return what is wrong.

        Reads everything: its cost grows with the journal.
        """


class OperationContext(Protocol):
    """What an operation may ask and tell while it runs in a backend."""

    @property
    def event_id(self) -> str:
        """Id of the event that is being executed."""

    @property
    def attempt(self) -> int:
        """1, or more if an earlier attempt may have left something."""

    @property
    def fence(self) -> int:
        """Grows with every claim.

        Of two operations on one volume the one with the higher fence is the
        rightful one.
        """

    def check(self) -> None:
        """Give up here if there is no more point in going on.

        To be called often, between steps that take long.

        :raises OperationCancelled: deadline passed, or event cancelled.
        """

    def begin_commit(self) -> None:
        """Ask leave for the one step that makes the effect visible.

        From here on the operation counts as done and is not cancelled.

        :raises OperationCancelled: too late; leave nothing behind.
        """

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called, in another thread, on cancellation.

        To interrupt what ``check`` cannot reach, as a child process. Called
        at once if it is already cancelled; replaces the callback before.
        """

    def report(
        self,
        bytes_done: int | None = None,
        bytes_total: int | None = None,
        phase: str = '',
    ) -> None:
        """Tell how far it is. Cheap: call it as often as is convenient."""


class Backend(abc.ABC):
    """What a storage can do with volumes.

    The operations are called by many threads at once, but never by two for
    one volume. Each is idempotent: it may be called again, with a higher
    ``context.attempt``, after a crash at any point of an earlier call, and
    then finishes what was begun. Each makes its effect visible in one atomic
    step, after ``context.begin_commit()``, and is durable when it returns;
    when it raises, nothing of it is left but what ``sweep`` removes.

    Optional abilities are declared in ``operations``; a method for an
    operation that is not declared is never called. The agent makes a backend
    by ``from_config``, one for each of its pools; what it declares is final
    after ``start``.

    A backend that declares ``migrate`` lets its volumes move to other pools:
    it has ``opened``. One that declares ``import`` takes them: the agent does
    what is between.
    """

    operations: frozenset[events.Operation]
    formats: frozenset[events.Format]
    provisionings: frozenset[events.Provisioning]
    default_provisioning: events.Provisioning = events.Provisioning.THIN
    """What a volume gets that does not ask."""
    has_trash: bool = False
    """Whether it has ``discard``, ``restore`` and ``purge``."""
    has_instant_copies: bool = False
    """Whether a volume's bytes are copied all at one instant, at no cost.

    If not, a volume that is in use cannot be copied: what is written
    meanwhile would be in the copy in part.
    """

    @classmethod
    @abc.abstractmethod
    def from_config(
        cls, conf: Any, *, clock: Clock, section: str = ''
    ) -> Self:
        """Return an instance as configured.

        :param conf: the agent's ``oslo_config.cfg.ConfigOpts``.
        :param section: the pool's, which has the options of its backend;
            empty: the group of the backend's own. Options that the agent does
            not know are for the backend to register there.
        :raises ConfigInvalid: an option is missing or cannot work; names it
            with its section.
        """

    @abc.abstractmethod
    def start(self) -> None:
        """Check that the storage can be used.

        :raises ConfigInvalid: it cannot; names the option and what to do.
        """

    @abc.abstractmethod
    def sweep(self, held: Callable[[], Collection[int]]) -> Sequence[str]:
        """Remove what interrupted operations left; return their names.

        Called at the start and after a takeover from a dead agent, by any
        agent of several, also while operations run. What is removed cannot
        become visible any more, even if its process still runs.

        :param held: returns the fences of all operations that may still go
            on; theirs is left alone. It must be asked after the listing of
            what there is, so that what begins meanwhile is not touched.
        """

    @abc.abstractmethod
    def space(self) -> model.StorageSpace:
        """Return the storage's size and what is unused.

        :raises BackendError: the storage cannot say.
        """

    @abc.abstractmethod
    def create(
        self,
        volume_id: str,
        parameters: events.CreateParameters,
        context: OperationContext,
    ) -> model.VolumeFacts:
        """Make an empty volume that reads as zeros.

        :raises EventRejected: something that is not this event's has the
            name, or the parameters cannot be met.
        :raises BackendUnavailable: there is no room.
        """

    @abc.abstractmethod
    def delete(self, volume_id: str, context: OperationContext) -> None:
        """Remove a volume. One that is not there counts as removed."""

    @abc.abstractmethod
    def extend(
        self, volume_id: str, size_bytes: int, context: OperationContext
    ) -> model.VolumeFacts:
        """Grow a volume; what is new reads as zeros.

        A volume that is already as large is left as it is.

        :raises EventRejected: there is no such volume, or it is larger.
        :raises BackendUnavailable: there is no room.
        """

    @abc.abstractmethod
    def find(self, volume_id: str) -> model.VolumeFacts | None:
        """Return what is there under this id, or ``None``."""

    @abc.abstractmethod
    def scan(self) -> Iterable[model.VolumeFacts]:
        """Yield all volumes, in no order.

        :raises BackendError: the listing is not complete; what came before
            must not be taken for all there is.
        """

    def locate(self, volume_id: str) -> str | None:
        """Return a path to a volume's bytes; ``None``: there is none.

        Under it this machine can open the volume as a block of bytes, and
        nothing else: what is there begins with the volume's first byte.
        Exporters ask that serve volumes themselves; it is not for users.
        Optional: a storage without such paths need not have it.

        :raises BackendError: the storage cannot say.
        """
        return None

    # Those below are optional: see ``operations``.

    def discard(self, volume_id: str, context: OperationContext) -> None:
        """Take a volume out of sight such that it can be restored.

        For those that have ``has_trash``. What is kept is known by the
        volume and by the event that discarded it. One that is not there
        counts as discarded. It still takes its space; no host reaches it.
        """
        raise NotImplementedError

    def restore(
        self, volume_id: str, discarded_by: str, context: OperationContext
    ) -> model.VolumeFacts:
        """Bring back a volume as it was when an event discarded it.

        If the storage keeps none, but has a volume of this id, that one is
        taken: it was restored before, or put back by hand.

        :param discarded_by: id of that event.
        :raises EventRejected: none is kept, or something has its name.
        """
        raise NotImplementedError

    def purge(
        self, volume_id: str, discarded_by: str, context: OperationContext
    ) -> None:
        """Remove for good what an event has discarded; none is fine."""
        raise NotImplementedError

    def snapshot(
        self,
        volume_id: str,
        snapshot_id: str,
        context: OperationContext,
    ) -> model.SnapshotFacts:
        """Keep a volume as it is at one instant.

        Snapshots, the volume and what is made from them are independent:
        each may be deleted before the others.

        :raises EventRejected: there is no such volume, or something else has
            the snapshot's name.
        :raises BackendUnavailable: there is no room.
        """
        raise NotImplementedError

    def snapshot_group(
        self, snapshots: Mapping[str, str], context: OperationContext
    ) -> Sequence[model.SnapshotFacts]:
        """Keep several volumes as they are at one instant, all or none.

        Nobody writes to them meanwhile. What is kept are snapshots like any
        others. When it raises, none is left, also none that an earlier
        attempt has made. Killed while it makes them visible it may leave
        some, which the next attempt completes; a storage that can make all
        visible in one step does.

        :param snapshots: by the volume's id the id of its snapshot; no id is
            there twice.
        :returns: one for each, in order of the volumes' ids.
        :raises EventRejected: there is no such volume, or something else has
            a snapshot's name.
        :raises BackendUnavailable: there is no room.
        """
        raise NotImplementedError

    def delete_snapshot(
        self,
        volume_id: str,
        snapshot_id: str,
        context: OperationContext,
    ) -> None:
        """Remove a snapshot. One that is not there counts as removed.

        :raises EventRejected: it is a snapshot of another volume, or what
            has its name is none.
        """
        raise NotImplementedError

    def find_snapshot(self, snapshot_id: str) -> model.SnapshotFacts | None:
        """Return what is there under this id, or ``None``."""
        raise NotImplementedError

    def revert(
        self,
        volume_id: str,
        snapshot_id: str,
        context: OperationContext,
    ) -> model.VolumeFacts:
        """Have a volume read as a snapshot of it; it keeps its size.

        At once: whoever looks finds all of the old content or all of the
        new. The snapshot stays.

        :raises EventRejected: there is no such volume or snapshot, or the
            snapshot is larger.
        :raises BackendUnavailable: there is no room.
        """
        raise NotImplementedError

    def import_image(
        self,
        volume_id: str,
        parameters: events.ImportParameters,
        image: model.OpenImage,
        context: OperationContext,
    ) -> model.VolumeFacts:
        """Make a volume that begins as the disk in an image.

        What is beyond the disk's end reads as zeros. The image is safe, and
        fits.

        :raises EventRejected: something that is not this event's has the
            name, or the parameters cannot be met.
        :raises BackendUnavailable: there is no room.
        """
        raise NotImplementedError

    def opened(
        self, volume_id: str, snapshot_id: str | None = None
    ) -> contextlib.AbstractContextManager[model.OpenImage]:
        """Open a volume for reading while the body runs.

        Or a snapshot of it, as it was when it was taken. Nobody writes to it
        or removes it meanwhile. For storages that declare ``migrate``.

        :raises EventRejected: there is no such volume, or snapshot of it.
        :raises BackendUnavailable: it cannot be read now.
        """
        raise NotImplementedError

    def clone(
        self,
        volume_id: str,
        parameters: events.CloneParameters,
        context: OperationContext,
    ) -> model.VolumeFacts:
        """Make a volume that begins as a copy of another, at one instant.

        :raises EventRejected: there is no such source, something that is
            not this event's has the name, or the parameters cannot be met.
        :raises BackendUnavailable: there is no room.
        """
        raise NotImplementedError

    def list_manageable(
        self, marker: str | None, limit: int
    ) -> Sequence[events.Manageable]:
        """Return what is a volume, or may become one.

        Up to ``limit``, in order of their references, those that follow
        ``marker``. What is no business of anybody's, as the storage's own
        files, is not among them.

        :raises BackendError: the storage cannot say.
        """
        raise NotImplementedError

    def find_manageable(self, reference: str) -> events.Manageable | None:
        """Return what a reference names, or ``None``.

        :param reference: as listed, or the id of a volume that was given up.
        """
        raise NotImplementedError

    def manage(
        self,
        volume_id: str,
        parameters: events.ManageParameters,
        context: OperationContext,
    ) -> model.VolumeFacts:
        """Make a volume of something in the storage; its bytes stay.

        It is looked at again, and refused as ``find_manageable`` would
        say. From the step that is seen on it is this volume and nothing
        else; until it returns, it may be smaller than was asked.

        :raises EventRejected: it is not there, not safe, or a volume
            already; something that is not this event's has the volume's
            name; or the parameters cannot be met.
        :raises BackendUnavailable: there is no room for its growth.
        """
        raise NotImplementedError

    def unmanage(self, volume_id: str, context: OperationContext) -> None:
        """Give up a volume; its bytes stay, and can be managed again.

        One that is not there counts as given up.
        """
        raise NotImplementedError

    def list_manageable_snapshots(
        self, marker: str | None, limit: int
    ) -> Sequence[events.Manageable]:
        """Return what is a snapshot, or was one and may become one again.

        As ``list_manageable``.
        """
        raise NotImplementedError

    def find_manageable_snapshot(
        self, reference: str
    ) -> events.Manageable | None:
        """Return what a reference names, or ``None``.

        :param reference: as listed, or the id of a snapshot that was given
            up.
        """
        raise NotImplementedError

    def manage_snapshot(
        self,
        volume_id: str,
        parameters: events.ManageSnapshotParameters,
        context: OperationContext,
    ) -> model.SnapshotFacts:
        """Make a snapshot of something that was a snapshot of this volume.

        As ``manage``. That the volume was given up and managed since, under
        another id, does not matter.

        :raises EventRejected: also if it was no snapshot of this volume, or
            would be larger.
        """
        raise NotImplementedError

    def unmanage_snapshot(
        self,
        volume_id: str,
        snapshot_id: str,
        context: OperationContext,
    ) -> None:
        """Give up a snapshot; its bytes stay, and can be managed again.

        One that is not there counts as given up.

        :raises EventRejected: it is a snapshot of another volume.
        """
        raise NotImplementedError


class Images(Protocol):
    """Gives access to images that volumes are made from."""

    @property
    def urls(self) -> tuple[str, ...]:
        """What the addresses of readable images begin with."""

    def open(
        self, parameters: events.ImportParameters, context: OperationContext
    ) -> contextlib.AbstractContextManager[model.OpenImage]:
        """Open an image that was looked at; close it after the body.

        :raises EventRejected: it may not be read, is not what it is said to
            be, is not safe, or does not fit.
        :raises OperationCancelled: while it was looked at.
        :raises BackendUnavailable: it cannot be read.
        """


Locate = Callable[[str], str | None]
"""``Backend.locate``, for exporters: they know no backend."""


class Exporter(abc.ABC):
    """How a host reaches a volume.

    Idempotent by volume and host, safe from any thread. A volume's record
    says which pool it is in. The agent makes an exporter by ``from_config``,
    then calls ``start`` and ``resume``, once each, and then the others.
    """

    storage_protocol: ClassVar[str]
    """In Cinder's words, as ``nfs`` or ``iSCSI``."""
    can_grow_in_use: ClassVar[bool]
    """Whether hosts see that a volume grows while they use it.

    If not, a volume that is attached is not extended.
    """

    @classmethod
    @abc.abstractmethod
    def from_config(cls, conf: Any, *, clock: Clock, locate: Locate) -> Self:
        """Return an instance as configured, in a group of its own.

        :param conf: the agent's ``oslo_config.cfg.ConfigOpts``.
        :param locate: asks the volume's pool; not to be asked before
            ``start``.
        :raises ConfigInvalid: an option is missing or cannot work.
        """

    @abc.abstractmethod
    def start(self) -> None:
        """Check that volumes can be exported.

        :raises ConfigInvalid: they cannot; names the option.
        :raises BackendUnavailable: they cannot yet; start again later.
        """

    @abc.abstractmethod
    def resume(self, volumes: Iterable[events.Volume]) -> None:
        """Make good what a restart has lost, of this agent or what exports.

        Called after ``start``, before anything is executed. Afterwards the
        hosts of each volume reach it as before, and no others do. What
        cannot be made good is logged and does not keep the agent from
        starting.

        :param volumes: all that are attached, in no order.
        """

    @abc.abstractmethod
    def connect(
        self, volume: events.Volume, parameters: events.ConnectParameters
    ) -> None:
        """Let a host reach a volume.

        :raises EventRejected: the host lacks what this protocol needs.
        """

    @abc.abstractmethod
    def disconnect(self, volume: events.Volume, host: str) -> None:
        """Let a host no longer reach a volume; one that could not is fine."""

    @abc.abstractmethod
    def connection(
        self, volume: events.Volume, host: str
    ) -> Mapping[str, object]:
        """Return what the host must know, as plain JSON.

        In the form that Nova and os-brick take: ``driver_volume_type`` and
        ``data``. May hold secrets: it is never journalled, published or
        logged.
        """


class Policy(abc.ABC):
    """Computes how many operations may run at once.

    Pure: windows in, a limit out. No clock, no I/O, no threads, no
    randomness: the same windows give the same limits. Called by one thread.
    The agent makes one for each lane by ``Policy(limit, ceiling=ceiling)``.

    :param limit: the first limit, from 1 to ``ceiling``.
    :param ceiling: what the limit never exceeds.
    """

    may_starve: ClassVar[bool] = False
    """Whether the limit may reach 0, from where it cannot return."""

    @abc.abstractmethod
    def __init__(self, limit: int, *, ceiling: int = 1000) -> None:
        """See the class."""

    @property
    @abc.abstractmethod
    def limit(self) -> int:
        """The limit now."""

    @abc.abstractmethod
    def observe(self, window: model.Window) -> int:
        """Judge a window; return the new limit."""


class LimitObserver(Protocol):
    """Is told what the policies find."""

    def begin(self, lane: Lane, limit: int) -> None:
        """Note the limit that a lane begins with."""

    def observe(self, lane: Lane, window: model.Window, limit: int) -> None:
        """Note a window and the limit that follows. Must not wait."""


class LimitHistory(Protocol):
    """Remembers what the policies found lately. Safe from any thread."""

    def get_limits(self, lane: Lane) -> Sequence[model.LimitPoint]:
        """Return the latest windows of a lane, in order; none if unknown."""


class Manageables(Protocol):
    """Knows what lies in the pools and may become a volume.

    Safe from any thread; never waits long.

    :raises EventRejected: from any method: there is no such pool, or its
        storage cannot do that.
    :raises BackendError: from any method: the storage cannot say now.
    """

    def list_volumes(
        self, pool: str | None, marker: str | None, limit: int
    ) -> model.ManageablePage:
        """Return up to ``limit`` whose reference follows ``marker``.

        :param pool: ``None``: the first.
        """

    def find_volume(
        self, pool: str | None, reference: str
    ) -> events.Manageable | None:
        """Return what a reference names; see ``Backend.find_manageable``."""


class Publisher(Protocol):
    """Puts notifications on the bus."""

    def publish(self, notification: events.Notification) -> None:
        """Send one; return when the bus has confirmed it.

        :raises PublishFailed: it may not have left; send it again.
        """


class Pulse(Protocol):
    """Is told that a loop turns. Safe from any thread."""

    def beat(self, within_s: float | None = None) -> None:
        """Note that it does.

        :param within_s: when it does so again, at the latest; ``None``: it
            does something that may take as long as it likes.
        """


class Unheard:
    """A pulse that nobody looks at."""

    def beat(self, within_s: float | None = None) -> None:
        """See the protocol."""


class Span(Protocol):
    """One step of an event's trail."""

    def phase(self, name: str) -> None:
        """Note that another phase of the step begins."""


class Trail(Protocol):
    """Says in logs and traces what is done about events.

    Safe from any thread.
    """

    def step(
        self, name: str, about: events.Event | events.Transition
    ) -> contextlib.AbstractContextManager[Span]:
        """Have the body be a step of an event's trail.

        Every line that this thread logs meanwhile names the event.

        :param name: as ``submit``, ``run`` or ``publish``.
        """


class Untraced:
    """A trail that nobody follows, and its one step."""

    def step(
        self, name: str, about: events.Event | events.Transition
    ) -> contextlib.AbstractContextManager[Untraced]:
        """See the protocol."""
        return contextlib.nullcontext(self)

    def phase(self, name: str) -> None:
        """See the protocol."""


class Meter:
    """Is told what happens, to count it. This one does not.

    Called where it happens, by any thread: it must not wait and not raise.
    """

    def accepted(self, event: events.Event) -> None:
        """Note that an event was handed in, perhaps once more."""

    def refused(self, event: events.Event) -> None:
        """Note that an event was not accepted."""

    def begun(self, claim: model.Claim, waited_s: float | None) -> None:
        """Note that an event was taken.

        :param waited_s: since it was made; ``None`` unless it is its first
            start.
        """

    def retried(self, claim: model.Claim) -> None:
        """Note that another attempt has begun."""

    def put_back(self, claim: model.Claim) -> None:
        """Note that an event that ran waits again."""

    def ended(
        self, claim: model.Claim, outcome: model.Outcome, run_s: float
    ) -> None:
        """Note how an event that ran has ended."""

    def lost(self, transition: events.Transition) -> None:
        """Note that an event was given up, since agents died of it."""

    def published(self) -> None:
        """Note that the bus has taken a message."""

    def not_published(self) -> None:
        """Note that the bus has not taken a message."""

    def answered(
        self, method: str, route: str, status: int, duration_s: float
    ) -> None:
        """Note that the API has answered.

        :param route: the template of the path, never the path.
        """
