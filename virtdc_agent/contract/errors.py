"""What can be wrong with a message.

::

    ContractError
    ├── MalformedMessage      a field is missing, of the wrong kind or range
    ├── UnsupportedVersion    another major version, or an unknown schema
    └── NotAuthentic          nobody who holds a key can have made it so

All are the sender's fault and stay wrong however often they are read: a
consumer records them and goes on, and never asks for them again.
"""

from __future__ import annotations


class ContractError(ValueError):
    """A message that this version of the contract cannot accept."""


class MalformedMessage(ContractError):
    """A field breaks its rule.

    :param field: dotted path of the field, as ``data.parameters.size_bytes``;
        ``message`` when the message as a whole is at fault.
    :param problem: what is wrong, in words that follow the field's name.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f'{field}: {problem}')
        self.field = field
        self.problem = problem


class UnsupportedVersion(ContractError):
    """The message is of a schema or a major version not spoken here."""

    def __init__(self, schema: str, version: str, supported: str) -> None:
        super().__init__(
            f'{schema} version {version} is not supported here, which speaks '
            f'{supported}: upgrade the older side'
        )
        self.schema = schema
        self.version = version
        self.supported = supported


class NotAuthentic(ContractError):
    """The message is not signed as it has to be; says why."""
