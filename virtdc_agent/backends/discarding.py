"""How a file goes into the trash from which it can be restored, and back.

To be discarded: its label is copied; leave is asked; the file is renamed; the
label is removed. To be restored: its label is written; leave is asked; the
file gets its name by a link; what was kept is removed. What a crash leaves in
between is finished by the next attempt. All of it in the volume's turn.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat

from virtdc_agent.backends import finding
from virtdc_agent.backends.folder import OpenFolder
from virtdc_agent.backends.label import Label
from virtdc_agent.backends import layout
from virtdc_agent.backends.turn import Turn
from virtdc_agent import exceptions
from virtdc_agent import interfaces

LOG = logging.getLogger(__name__)


def discard(
    folder: OpenFolder,
    volume_id: str,
    context: interfaces.OperationContext,
) -> None:
    """Take a volume's name away and keep it; none there is fine.

    :raises EventRejected: what has the name is not ours.
    """
    place = layout.volume(volume_id)
    kept = layout.discarded(volume_id, context.event_id)
    with Turn(folder.fences, volume_id, context).held():
        found = finding.look(folder, place)
        if found is None:
            # The earlier attempt may have ended before this.
            folder.sync()
            folder.remove_label(place.label)
            return
        if found.label is None:
            raise exceptions.EventRejected(
                f'What has the name of {place.words} in the storage was not '
                'made by this agent and is left alone; its operator may '
                'remove it.'
            )
        finding.check_whose(found.label, place, '')
        try:
            folder.write_label(
                layout.label_of(kept),
                found.label,
                _scratch_label(volume_id, context),
                is_kept=True,
            )
            context.begin_commit()
            folder.discard(place.file, kept)
        except BaseException:
            # Unless the file is there: then the label has to be as well.
            with contextlib.suppress(OSError):
                if folder.find_discarded(kept) is None:
                    folder.forget_discarded(kept)
            folder.drop_temporary(_scratch_label(volume_id, context))
            raise
        try:
            folder.remove_label(place.label)
        except OSError:
            LOG.warning(
                'The label of %s is left for the next sweep.',
                place.words,
                exc_info=True,
            )


def restore(
    folder: OpenFolder,
    volume_id: str,
    discarded_by: str,
    context: interfaces.OperationContext,
) -> Label:
    """Give a volume that was kept its name again; return its label.

    :raises EventRejected: none is kept, or something has the name.
    """
    place = layout.volume(volume_id)
    kept = layout.discarded(volume_id, discarded_by)
    with Turn(folder.fences, volume_id, context).held():
        found = finding.look(folder, place)
        status = folder.find_discarded(kept)
        if found is not None and (
            status is None or os.path.samestat(found.status, status)
        ):
            if found.label is None:
                raise _taken(place)
            finding.check_whose(found.label, place, '')
            # Restored by an earlier attempt, or by hand.
            folder.sync()
            folder.forget_discarded(kept)
            return found.label
        if found is not None:
            raise _taken(place)
        label = _label_of_kept(folder, place, kept, status)
        try:
            folder.write_label(
                place.label, label, _scratch_label(volume_id, context)
            )
            context.begin_commit()
            folder.bring_back(kept, place.file)
        except BaseException as exc:
            with contextlib.suppress(OSError):
                if folder.find(place.file) is None:
                    folder.remove_label(place.label)
            folder.drop_temporary(_scratch_label(volume_id, context))
            if isinstance(exc, FileExistsError):
                raise _taken(place) from exc
            raise
        try:
            folder.forget_discarded(kept)
        except OSError:
            LOG.warning(
                '%s is restored, and also in the trash still.',
                place.subject,
                exc_info=True,
            )
        return label


def purge(
    folder: OpenFolder,
    volume_id: str,
    discarded_by: str,
    context: interfaces.OperationContext,
) -> None:
    """Remove for good what an event has discarded; none is fine."""
    kept = layout.discarded(volume_id, discarded_by)
    with Turn(folder.fences, volume_id, context).held():
        if folder.find_discarded(kept) is not None:
            context.begin_commit()
        folder.forget_discarded(kept)


def _label_of_kept(
    folder: OpenFolder,
    place: layout.Place,
    kept: str,
    status: os.stat_result | None,
) -> Label:
    if status is None or not stat.S_ISREG(status.st_mode):
        raise exceptions.EventRejected(
            f'The storage does not keep {place.words} any more.'
        )
    try:
        label = folder.read_label(layout.label_of(kept), is_kept=True)
    except ValueError as exc:
        raise exceptions.BackendError(
            f'The label of {place.words} in the trash cannot be read '
            f'({exc}); the operator of the storage has to look at it.'
        ) from exc
    if label is None:
        raise exceptions.BackendError(
            f'The label of {place.words} in the trash is missing; the '
            'operator of the storage has to look at it.'
        )
    return label


def _scratch_label(
    volume_id: str, context: interfaces.OperationContext
) -> str:
    return layout.label_of(
        layout.scratch_name(volume_id, context.event_id, context.fence)
    )


def _taken(place: layout.Place) -> exceptions.EventRejected:
    return exceptions.EventRejected(
        f'A {place.words} exists already in the storage.'
    )
