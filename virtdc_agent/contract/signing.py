"""Messages that only a holder of a shared key can have made.

Whoever may write to the virtual host of the data centre may otherwise put
calls and notifications there. A signature is HMAC-SHA-256 (RFC 2104) over
the canonical JSON of what the message is for, when it was made, a number
used once, and its content::

    call          purpose  call:<topic>:<method>   content  its arguments
    answer        purpose  answer:<nonce of the call>       the answer
    notification  purpose  notification:<topic>             the envelope

so that none can be passed off as another. It travels beside the content as
``signature`` with ``key``, ``at``, ``nonce`` and ``mac``. It does not hide
anything: that is TLS's part.

A file of keys has one on each line, an id and a secret in base64::

    # virtdc-manage key generate
    autumn 8mT0m...=
    summer u5QkL...=

The first signs; every one is accepted. To change the key: add the new one
at the end of every file, then move it to the front everywhere, then remove
the old one. A file that has changed is read again within seconds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
import dataclasses
import datetime
import hashlib
import hmac
import json
import secrets

from virtdc_agent.contract.errors import NotAuthentic
from virtdc_agent.contract.fields import IDENTIFIER
from virtdc_agent.contract.fields import Reader

SECRET_BYTES = 32
"""Length of a new secret, and the least that is accepted: as the hash's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """A shared secret, which no representation shows."""

    key_id: str
    secret: bytes = dataclasses.field(repr=False)

    @classmethod
    def generate(cls, key_id: str) -> Key:
        """Return a new key."""
        return cls(key_id, secrets.token_bytes(SECRET_BYTES))

    def to_line(self) -> str:
        """Return the key as a line of a file of keys."""
        return f'{self.key_id} {base64.b64encode(self.secret).decode()}'


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What was found beside a message, and proved to be right.

    :param at: when it says that it was made.
    :param nonce: never used twice by an honest sender.
    """

    at: datetime.datetime
    nonce: str


class Keyring:
    """The keys of one side. Immutable, safe from any thread.

    :param keys: at least one; the first is the one that signs.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        if not keys:
            raise ValueError('there is no key')
        self.signer = keys[0]
        self._by_id = {key.key_id: key for key in keys}
        if len(self._by_id) != len(keys):
            raise ValueError('two keys have the same id')

    @classmethod
    def from_text(cls, text: str) -> Keyring:
        """Return the keys of a file's content.

        :raises ValueError: a line is no key; names the line, and shows
            nothing of it.
        """
        keys = []
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith('#'):
                continue
            if len(words) != 2 or not IDENTIFIER.fullmatch(words[0]):
                raise ValueError(f'line {number} is not an id and a secret')
            try:
                secret = base64.b64decode(words[1], validate=True)
            except binascii.Error:
                raise ValueError(
                    f'the secret in line {number} is not base64'
                ) from None
            if len(secret) < SECRET_BYTES:
                raise ValueError(
                    f'the secret in line {number} has fewer than '
                    f'{SECRET_BYTES} bytes'
                )
            keys.append(Key(words[0], secret))
        return cls(keys)

    def sign(
        self,
        purpose: str,
        content: object,
        *,
        at: datetime.datetime,
        nonce: str | None = None,
    ) -> dict[str, object]:
        """Return the signature of a message, as it travels.

        :param content: plain JSON.
        :param nonce: ``None`` makes one.
        """
        time_text = at.astimezone(datetime.UTC).isoformat()
        nonce = nonce or secrets.token_hex(16)
        return {
            'key': self.signer.key_id,
            'at': time_text,
            'nonce': nonce,
            'mac': _mac(self.signer, purpose, time_text, nonce, content),
        }

    def check(
        self, purpose: str, content: object, signature: object
    ) -> Signature:
        """Return a message's signature if a key of ours made it.

        :raises NotAuthentic: there is none, or it is not of this message.
        """
        if signature is None:
            raise NotAuthentic(
                'it is not signed: give its sender the file of keys'
            )
        reader = Reader(signature, 'signature')
        key_id = reader.text('key', max_length=64)
        time_text = reader.text('at', max_length=64)
        at = reader.time('at')
        nonce = reader.text('nonce', max_length=64)
        claimed = reader.text('mac', max_length=64)
        key = self._by_id.get(key_id)
        if key is None:
            raise NotAuthentic(
                'it is signed with a key that is not in the file of keys here'
            )
        mac = _mac(key, purpose, time_text, nonce, content)
        if not hmac.compare_digest(mac.encode(), claimed.encode()):
            raise NotAuthentic(
                'its signature is not right: it was altered, is meant for '
                'another, or two keys have the same id'
            )
        return Signature(at=at, nonce=nonce)


def _mac(
    key: Key, purpose: str, time_text: str, nonce: str, content: object
) -> str:
    try:
        message = json.dumps(
            [purpose, key.key_id, time_text, nonce, content],
            sort_keys=True,
            separators=(',', ':'),
            allow_nan=False,
        )
    except (TypeError, ValueError, RecursionError) as exc:
        raise NotAuthentic(f'it is not plain JSON ({exc})') from exc
    return hmac.new(key.secret, message.encode(), hashlib.sha256).hexdigest()
