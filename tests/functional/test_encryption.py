"""Encrypted volumes: what hosts write is LUKS, and stays so in every copy.

Device-mapper is not asked for: QEMU is the host, and has LUKS of its own.
"""

from __future__ import annotations

from pathlib import Path
import subprocess

from tests.functional import generic

MIB = generic.MIB
WRITE = f'write -q -P 0xab {8 * MIB} 64k'
READ = f'read -q -P 0xab {8 * MIB} 64k'


class TestEncryption(generic.GenericCase):
    def setUp(self) -> None:
        super().setUp()
        self.passphrase = self.lab.fixed_key

    def make_encrypted_type(self, name: str, **extra_specs: str) -> None:
        """Make a type whose volumes hosts encrypt."""
        self.make_type(name, extra_specs)
        types = self.cloud.get('/types')['volume_types']
        (type_id,) = (one['id'] for one in types if one['name'] == name)
        encryption = {
            'provider': 'luks',
            'cipher': 'aes-xts-plain64',
            'key_size': 256,
            'control_location': 'front-end',
        }
        self.cloud.post(
            f'/types/{type_id}/encryption', {'encryption': encryption}
        )
        self.addCleanup(self.cloud.ask, 'DELETE', f'/types/{type_id}')

    def luks(self, path: Path) -> list[str]:
        """Return what names the disk inside of an encrypted one."""
        return [
            *('--object', f'secret,id=key,data={self.passphrase}'),
            '--image-opts',
            f'driver=luks,key-secret=key,file.filename={path}',
        ]

    def format_as_a_host(self, path: Path) -> None:
        """Do what os-brick does when a volume is attached that is empty."""
        subprocess.run(
            [
                *('cryptsetup', '--batch-mode', 'luksFormat', '--type'),
                *('luks1', '--key-file=-', '--cipher', 'aes-xts-plain64'),
                *('--key-size', '256', '--pbkdf-force-iterations', '1000'),
                str(path),
            ],
            input=self.passphrase.encode(),
            capture_output=True,
            check=True,
        )

    def test_every_copy_is_encrypted_as_the_volume_is(self) -> None:
        self.make_encrypted_type('encrypted')
        volume_id = self.make(volume_type='encrypted')
        self.assertTrue(self.show(volume_id)['encrypted'])
        how = self.cloud.get(f'/volumes/{volume_id}/encryption')
        self.assertEqual('luks', how['provider'])
        self.format_as_a_host(self.file_of(volume_id))
        generic.qemu_io(self.luks(self.file_of(volume_id)), WRITE, READ)
        snapshot_id = self.snapshot(volume_id)
        image = self.to_image(volume_id, 'raw')
        self.wait(volume_id)
        self.assertIn('cinder_encryption_key_id', image)
        for source in (
            {'source_volid': volume_id},
            {'snapshot_id': snapshot_id},
            {'imageRef': image['id'], 'size': 2},
        ):
            with self.subTest(**source):
                copy_id = self.make(volume_type='encrypted', **source)
                self.wait(copy_id)
                file = self.file_of(copy_id)
                self.assertEqual(b'LUKS', file.read_bytes()[:4])
                generic.qemu_io(self.luks(file), READ)

    def test_the_connection_says_so(self) -> None:
        self.make_encrypted_type('encrypted-2')
        volume_id = self.make(volume_type='encrypted-2')
        attachment_id = self.attach(volume_id)
        shown = self.cloud.get(f'/attachments/{attachment_id}')
        connection = shown['attachment']['connection_info']
        self.assertTrue(connection['encrypted'])
        self.assertEqual('raw', connection['format'])
        self.cloud.delete(f'/attachments/{attachment_id}')
        self.wait(volume_id, operation='disconnect', state='success')

    def test_a_qcow2_volume_is_not_encrypted(self) -> None:
        """A host would write over the header of the file."""
        self.make_encrypted_type(
            'encrypted-qcow2', **{'virtdc:format': 'qcow2'}
        )
        volume_id = self.create(volume_type='encrypted-qcow2')
        self.wait(volume_id, 'error')
        self.assertIn('failed to create', self.messages_of(volume_id))
        self.assertEqual(set(), self.left())
