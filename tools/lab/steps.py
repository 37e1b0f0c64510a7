"""Steps that wait for each other, and otherwise run at the same time."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import concurrent.futures
import dataclasses
import enum
import time

from tools.lab import errors


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """Something to do once the steps ``after`` are done."""

    name: str
    action: Callable[[], None]
    after: Sequence[str] = ()


class Phase(enum.StrEnum):
    """What becomes of a step."""

    STARTED = 'started'
    DONE = 'done'
    FAILED = 'failed'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A line of a progress display."""

    step: str
    phase: Phase
    elapsed_s: float
    """How long the step took; 0 when it starts."""


Report = Callable[[Progress], None]


def carry_out(
    steps: Sequence[Step], *, report: Report, abort: Callable[[], None]
) -> None:
    """Carry out steps, in order of need, from one thread each.

    After the first failure, or an interruption, ``abort`` is called once; it
    must make the steps that still run end soon. Returns or raises when none
    runs any more. ``report`` is called from any thread.

    :param steps: each after those that it names.
    :raises Exception: what the first failed step raised.
    """
    if not steps:
        return
    futures: dict[str, concurrent.futures.Future[None]] = {}
    with concurrent.futures.ThreadPoolExecutor(len(steps)) as pool:
        try:
            for step in steps:
                needed = [futures[name] for name in step.after]
                futures[step.name] = pool.submit(_one, step, needed, report)
            concurrent.futures.wait(
                futures.values(),
                return_when=concurrent.futures.FIRST_EXCEPTION,
            )
            failed = [
                future.exception()
                for future in futures.values()
                if future.done()
            ]
        except BaseException:
            abort()
            raise
        if any(failed):
            abort()
    for error in failed:
        if error is not None and not isinstance(error, errors.LabClosed):
            raise error
    for future in futures.values():
        future.result()


def _one(
    step: Step,
    needed: Sequence[concurrent.futures.Future[None]],
    report: Report,
) -> None:
    for future in needed:
        future.result()
    begun = time.monotonic()
    report(Progress(step=step.name, phase=Phase.STARTED, elapsed_s=0.0))
    phase = Phase.FAILED
    try:
        step.action()
        phase = Phase.DONE
    finally:
        elapsed_s = time.monotonic() - begun
        report(Progress(step=step.name, phase=phase, elapsed_s=elapsed_s))
