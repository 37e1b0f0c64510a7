"""Name, description, metadata and type: which side has changed them.

Pure functions. A three-way comparison, field by field: what both sides last
agreed on is kept as a short digest in a property of the volume in Cinder, so
that every listener finds it, also after a restart.

The rule where both have changed one field: the data centre's change is an
event in the journal, Cinder's is not yet one; the last event in the journal's
order wins, so the data centre's stays. It is never silent: the field is told
as a conflict.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import hashlib
import json
import re

from cinder_virtdc.translate import TYPE_KEY
from virtdc_agent.contract.events import EditParameters
from virtdc_agent.contract.events import Origin
from virtdc_agent.contract.events import OWN_METADATA
from virtdc_agent.contract.events import Volume
from virtdc_agent.contract import fields

MAX_LENGTH = 255
"""Of a name, a description, a key and a value in Cinder."""

_KEY = re.compile(r'[a-zA-Z0-9\-_:. ]{1,255}')
"""The keys that Cinder's API takes."""
_DIGITS = 8


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What people say of a volume, as both sides can hold it.

    :param metadata: only the user's own.
    :param volume_type: which only the cloud changes; empty: not known.
    """

    name: str = ''
    description: str = ''
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    volume_type: str = ''


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Digests of what both sides last agreed on, field by field."""

    name: str
    description: str
    metadata: str

    def to_text(self) -> str:
        """Write it as the value of a property."""
        return ':'.join(('1', self.name, self.description, self.metadata))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done about one volume.

    :param to_cloud: fields that Cinder is to have; ``None``: they agree.
    :param to_platform: fields that the data centre is to have.
    :param conflicts: names of the fields that both sides had changed, and
        what Cinder had there.
    :param agreed: what is to be remembered once all this is done.
    """

    to_cloud: Fields | None
    to_platform: Fields | None
    conflicts: Mapping[str, str]
    agreed: Base


CINDERS_OWN = frozenset({'attached_mode', 'readonly'})
"""What Cinder's API shows among a volume's metadata, and no user has set."""

NAMES = ('name', 'description', 'metadata')
"""The fields that either side may change."""


def fields_of_cloud(
    *,
    name: str,
    description: str,
    properties: Mapping[str, str],
    volume_type: str,
) -> Fields:
    """Return what a volume in Cinder says."""
    return Fields(
        name=canonical(name),
        description=canonical(description),
        metadata={
            key: shown(value)
            for key, value in properties.items()
            if not key.startswith(OWN_METADATA) and key not in CINDERS_OWN
        },
        volume_type=canonical(volume_type),
    )


def fields_of_platform(volume: Volume) -> Fields:
    """Return what a volume in the data centre says, as Cinder can show it.

    Keys that Cinder does not take are left out.
    """
    return Fields(
        name=canonical(volume.name),
        description=canonical(volume.description),
        metadata={
            key: shown(value)
            for key, value in volume.metadata.items()
            if is_showable(key)
        },
        volume_type=canonical(volume.metadata.get(TYPE_KEY, '')),
    )


def is_showable(key: str) -> bool:
    """Say whether a key of the data centre can be a user's key in Cinder."""
    return (
        not key.startswith(OWN_METADATA)
        and key not in CINDERS_OWN
        and _KEY.fullmatch(key) is not None
    )


def canonical(text: str) -> str:
    """Return a name as both sides hold it: Cinder cuts white space off."""
    return shown(text.strip()).strip()


def shown(text: str) -> str:
    """Return a value as both sides can hold it.

    Cinder counts characters; some databases below it refuse what lies beyond
    the basic plane.
    """
    return fields.clean_text(
        ''.join(c if ord(c) <= 0xFFFF else '\ufffd' for c in text), MAX_LENGTH
    )


def base_of(said: Fields) -> Base:
    """Return the digests of what is said."""
    return Base(
        name=_digest(said.name),
        description=_digest(said.description),
        metadata=_digest(
            json.dumps(sorted(said.metadata.items()), ensure_ascii=False)
        ),
    )


def base_from(text: str) -> Base | None:
    """Read what ``to_text`` wrote; ``None``: it is not that."""
    version, _, rest = text.partition(':')
    digests = rest.split(':')
    if version != '1' or len(digests) != len(NAMES):
        return None
    return Base(**dict(zip(NAMES, digests, strict=True)))


def decide(
    cloud: Fields,
    platform: Fields,
    *,
    agreed: Base | None,
    told: Base | None,
    changed_by: Origin,
) -> Decision:
    """Compare both sides with what they last agreed on.

    :param agreed: ``None``: not known. Then it counts which side last
        changed the volume in the data centre.
    :param told: what Cinder's side last asked the data centre to become. If
        that is what it is, nobody changed it there since.
    :param changed_by: who last changed the volume in the data centre.
    """
    to_cloud: dict[str, object] = {}
    to_platform: dict[str, object] = {}
    conflicts: dict[str, str] = {}
    ours, theirs = base_of(cloud), base_of(platform)
    for name in NAMES:
        if getattr(cloud, name) == getattr(platform, name):
            continue
        here, there = getattr(ours, name), getattr(theirs, name)
        if agreed is None:
            is_theirs = changed_by is Origin.PLATFORM
        else:
            before = getattr(agreed, name)
            is_theirs = there not in (
                before,
                told and getattr(told, name),
            )
            if is_theirs and here != before:
                conflicts[name] = _text(getattr(cloud, name))
        if is_theirs:
            to_cloud[name] = getattr(platform, name)
        else:
            to_platform[name] = getattr(cloud, name)
    if platform.volume_type and cloud.volume_type != platform.volume_type:
        # A volume whose type the data centre was never told has none there.
        to_platform['volume_type'] = cloud.volume_type
    after = dataclasses.replace(cloud, **to_cloud)  # type: ignore[arg-type]
    return Decision(
        to_cloud=after if to_cloud else None,
        to_platform=(
            dataclasses.replace(
                platform,
                **to_platform,  # type: ignore[arg-type]
            )
            if to_platform
            else None
        ),
        conflicts=conflicts,
        agreed=base_of(after),
    )


def edit_of(volume: Volume, wanted: Fields) -> EditParameters:
    """Return what makes a volume of the data centre say what is wanted.

    What Cinder cannot hold, or holds shortened, stays as it is there.
    """
    said = fields_of_platform(volume)
    metadata: dict[str, str] | None = None
    if wanted.metadata != said.metadata:
        metadata = {
            key: value
            for key, value in volume.metadata.items()
            if not key.startswith(OWN_METADATA) and not is_showable(key)
        }
        for key, value in wanted.metadata.items():
            kept = volume.metadata.get(key)
            metadata[key] = (
                kept if kept is not None and shown(kept) == value else value
            )
    if wanted.volume_type != said.volume_type:
        if metadata is None:
            metadata = {
                key: value
                for key, value in volume.metadata.items()
                if not key.startswith(OWN_METADATA)
            }
        metadata[TYPE_KEY] = wanted.volume_type
    return EditParameters(
        name=None if wanted.name == said.name else wanted.name,
        description=(
            None
            if wanted.description == said.description
            else wanted.description
        ),
        metadata=metadata,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[
        :_DIGITS
    ]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
