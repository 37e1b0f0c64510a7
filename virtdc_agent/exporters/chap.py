"""What a host proves itself with: derived, and so kept nowhere.

Account and secret of a volume and a host follow from a key, which is one
file. Who has the key has all secrets; who has a secret has no other. Agents
that are to hand out the same secrets have the same key.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import os
import secrets
import stat

from virtdc_agent import exceptions
from virtdc_agent.exporters import durable

_KEY_BYTES = 32
_SECRET_LENGTH = 16
"""Of 64 characters, so 96 bits. Some initiators take 12 to 16, no more."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one host needs for one volume.

    :param account: a name; it tells nothing, and differs with the key.
    """

    account: str
    secret: str = dataclasses.field(repr=False)


class Secrets:
    """Derives credentials from a key. Holds nothing else."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def open(cls, path: str) -> Secrets:
        """Read the key of a file; make it first if it is not there.

        :raises ConfigInvalid: it is no key, or others may read it.
        :raises OSError: it can neither be read nor made.
        """
        if not os.path.lexists(path):
            durable.make(path, secrets.token_hex(_KEY_BYTES).encode() + b'\n')
        with open(path, 'rb') as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise exceptions.ConfigInvalid(
                    f'Others than its owner have access to {path}, the key '
                    'of all CHAP secrets: chmod 600 it, or remove it to have '
                    'another made once no volume is attached.'
                )
            text = file.read(4 * _KEY_BYTES).strip()
        try:
            key = bytes.fromhex(text.decode('ascii'))
        except ValueError:
            key = b''
        if len(key) != _KEY_BYTES:
            raise exceptions.ConfigInvalid(
                f'{path} does not hold a key of {2 * _KEY_BYTES} hexadecimal '
                'digits: restore it, or remove it to have another made once '
                'no volume is attached.'
            )
        return cls(key)

    def of(self, volume_id: str, host: str) -> Credentials:
        """Return what a host needs for a volume: always the same."""
        secret = base64.b64encode(
            self._derive('secret', volume_id, host), altchars=b'-_'
        )
        return Credentials(
            account='virtdc-' + self._derive('account', volume_id, host).hex(),
            secret=secret[:_SECRET_LENGTH].decode('ascii'),
        )

    def _derive(self, purpose: str, volume_id: str, host: str) -> bytes:
        # Neither has a zero byte in it, so that no two triples are one text.
        text = '\0'.join((purpose, volume_id, host)).encode()
        return hmac.new(self._key, text, hashlib.sha256).digest()
