"""Runs ``qemu-img``, bounded and cancellable."""

from __future__ import annotations

import shutil
import subprocess

from virtdc_agent import exceptions
from virtdc_agent import interfaces

PROGRAM = 'qemu-img'
_BUSY_WORDS = ('Is another process using the image', 'Failed to get')


def is_installed() -> bool:
    """Say whether the program is there."""
    return shutil.which(PROGRAM) is not None


def run(context: interfaces.OperationContext, *arguments: str) -> None:
    """Run it to its end; on cancellation kill it and wait for it.

    :raises OperationCancelled: it was killed because of that.
    :raises BackendBusy: the image is locked.
    :raises BackendError: it failed.
    """
    context.check()
    try:
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as exc:
        raise exceptions.BackendError(
            'The data centre cannot run qemu-img; its operator must install '
            'it.'
        ) from exc
    with process:
        context.on_cancel(process.kill)
        _, errors = process.communicate()
        context.on_cancel(lambda: None)
    if process.returncode == 0:
        return
    context.check()
    said = errors.decode(errors='replace')
    problem = exceptions.BackendError(
        f'qemu-img {arguments[0]} failed with status {process.returncode}.'
    )
    if any(words in said for words in _BUSY_WORDS):
        raise exceptions.BackendBusy(
            'The image is in use by another program; try again later.'
        ) from problem
    raise problem from RuntimeError(said)
