"""A cloud with all that Cinder does by itself with the volumes of a driver.

Images, backups and keys: it shares one file system with the data centre, as
a host does, and copies bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
from pathlib import Path
import re
import subprocess
import tempfile
from typing import Any
import uuid

from tests.functional import base
from tests.functional import test_copies
from tools.lab import images
from tools.lab import rest
from tools.lab import stack
from tools.lab import virtdc

KIB = 1024
MIB = 1024**2
GIB = base.GIB


@functools.cache
def generic_lab() -> stack.Lab:
    """Return the one lab of all these tests."""
    options = {
        **base.DRIVER,
        # Only for what Cinder copies; not what the agent reads by itself.
        'image_volume_cache_enabled': True,
    }
    return base.start(
        base.settings(
            backends=(virtdc.backend(options=options),),
            cinder_options={
                **base.DURABLE,
                'DEFAULT': {
                    'cinder_internal_tenant_project_id': uuid.uuid4().hex,
                    'cinder_internal_tenant_user_id': uuid.uuid4().hex,
                },
            },
            keystone=True,
            glance=True,
            share=True,
            reads_images=True,
            backup=True,
            key_manager=True,
        )
    )


class GenericCase(test_copies.CopiesCase):
    """A test in that cloud."""

    def setUp(self) -> None:
        super().setUp()
        if self.lab.glance is None:
            raise AssertionError('the lab has no images')
        self.glance: rest.Rest = self.lab.glance.client()
        self.stored_images: Path = self.lab.glance.images
        folder = tempfile.TemporaryDirectory(prefix='virtdc-images-')
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def get_lab(self) -> stack.Lab:
        """Return the lab to test in."""
        return generic_lab()

    def image_file(
        self, size_bytes: int, kind: str, *, pattern: int = 0xAB
    ) -> Path:
        """Return a new image of a format, with a pattern at both ends."""
        path = self.folder / f'{uuid.uuid4().hex}.{kind}'
        qemu_img('create', '-q', '-f', kind, str(path), str(size_bytes))
        write_disk(path, kind, 0, pattern)
        write_disk(path, kind, size_bytes - 64 * KIB, pattern)
        return path

    def upload(self, path: Path, kind: str) -> str:
        """Give the cloud an image; return its id."""
        image_id = images.upload(self.lab.environment, path, disk_format=kind)
        self.addCleanup(self.glance.ask, 'DELETE', f'/images/{image_id}')
        return image_id

    def to_image(self, volume_id: str, kind: str) -> Mapping[str, Any]:
        """Have Cinder make an image of a volume; return it."""
        answer = self.act(
            volume_id,
            'os-volume_upload_image',
            image_name=self.id(),
            disk_format=kind,
            container_format='bare',
            force=True,
        )
        image_id = answer['os-volume_upload_image']['image_id']
        self.addCleanup(self.glance.ask, 'DELETE', f'/images/{image_id}')
        image: Mapping[str, Any] = {}

        def is_there() -> bool:
            nonlocal image
            image = self.glance.get(f'/images/{image_id}')
            return image['status'] == 'active'

        self.until(is_there, 120, lambda: f'the image is {image["status"]}')
        return image

    def messages_of(self, resource_id: str) -> str:
        """Return what Cinder tells users of a thing, as one text."""
        found = self.cloud.get(f'/messages?resource_uuid={resource_id}')
        return ' '.join(one['user_message'] for one in found['messages'])


def qemu_img(*arguments: str) -> str:
    """Run ``qemu-img``; return what it printed."""
    done = subprocess.run(
        ['qemu-img', *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f'qemu-img {arguments}: {done.stderr}')
    return done.stdout


def qemu_io(target: list[str], *commands: str) -> str:
    """Read and write a disk in an image, as a server does.

    :param target: arguments that name the image.
    """
    done = subprocess.run(
        [
            'qemu-io',
            *(word for one in commands for word in ('-c', one)),
            *target,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    if done.returncode or re.search('verification failed|rror', said):
        raise AssertionError(f'qemu-io {target} {commands}: {said}')
    return said


def write_disk(path: Path, kind: str, offset: int, pattern: int) -> None:
    """Write a block into the disk that is in an image."""
    qemu_io(
        ['-f', kind, str(path)], f'write -q -P {pattern} {offset} {64 * KIB}'
    )


def assert_same_disk(
    one: Path, one_kind: str, other: Path, other_kind: str
) -> None:
    """Fail unless two images hold the same disk, but for zeros at an end."""
    said = qemu_img(
        *('compare', '-f', one_kind, '-F', other_kind, str(one), str(other))
    )
    if 'identical' not in said:
        raise AssertionError(said)
