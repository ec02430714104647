"""Profiles in their order, as the text that is sent and as the values that filters see."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from mixpanel_fetch.simulator.synthetic import SyntheticProfiles

_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_keys = itertools.count()


@dataclass(frozen=True)
class RawProfile:
    """A profile given as the exact bytes of its JSON object; `note` says what is odd about it."""

    raw: bytes
    note: str = ""

    @property
    def value(self) -> dict[str, Any]:
        """The profile as Python values."""
        return decode_profile(self.raw)


Profile: TypeAlias = Mapping[str, Any] | bytes | RawProfile


class Population:
    """A sequence of profiles by position; nothing is copied or computed ahead.

    `key` tells populations apart, for caches.
    """

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self._profiles = profiles
        self.key = next(_keys)

    def __len__(self) -> int:
        return len(self._profiles)

    def text(self, position: int) -> bytes:
        """Give the JSON text of a profile, raw ones byte for byte."""
        if isinstance(self._profiles, SyntheticProfiles):
            return self._profiles.encoded(position)
        return encode_profile(self._profiles[position])

    def value(self, position: int) -> Mapping[str, Any]:
        """Give a profile as values."""
        if isinstance(self._profiles, SyntheticProfiles):
            return decode_profile(self._profiles.encoded(position))
        profile = self._profiles[position]
        if isinstance(profile, RawProfile):
            return profile.value
        return decode_profile(profile) if isinstance(profile, bytes) else profile

    def distinct_id(self, position: int) -> str:
        """Give a profile's id as text."""
        if isinstance(self._profiles, SyntheticProfiles):
            return self._profiles.distinct_id(position)
        return id_text(self.value(position).get("$distinct_id"))


def encode_profile(profile: Profile) -> bytes:
    """Give a profile's JSON text; what was given as bytes stays as it is."""
    if isinstance(profile, RawProfile):
        return profile.raw
    if isinstance(profile, bytes):
        return profile
    # Not msgspec: it refuses lone surrogates, which json writes as the escapes they came in.
    return json.dumps(profile, separators=(",", ":")).encode("ascii")


def decode_profile(text: bytes) -> dict[str, Any]:
    """Read a profile's JSON text; duplicate keys, lone surrogates and huge numbers pass."""
    try:
        return _decode_object(text)
    except msgspec.DecodeError:
        value: dict[str, Any] = json.loads(text)
        return value


def with_properties(text: bytes, names: frozenset[str]) -> bytes:
    """Keep only some properties of a profile's JSON text.

    Values keep their exact text wherever they can be cut out; a profile with lone surrogates is
    read and written anew.
    """
    try:
        profile = _decode_raw(text)
        raw_properties = _decode_raw(profile.get("$properties", b"{}"))
    except msgspec.DecodeError:
        return _with_properties_rewritten(text, names)
    kept = {name: value for name, value in raw_properties.items() if name in names}
    if "$properties" in profile:
        profile["$properties"] = msgspec.Raw(msgspec.json.encode(kept))
    return msgspec.json.encode(profile)


def id_text(distinct_id: object) -> str:
    """Give an id as text: a number reads as it does in JSON."""
    return distinct_id if isinstance(distinct_id, str) else json.dumps(distinct_id)


def properties_of(profile: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give the properties of a profile; absent and null ones are empty."""
    properties = profile.get("$properties")
    return properties if isinstance(properties, Mapping) else {}


def _with_properties_rewritten(text: bytes, names: frozenset[str]) -> bytes:
    profile = decode_profile(text)
    kept = {name: value for name, value in properties_of(profile).items() if name in names}
    return encode_profile({**profile, "$properties": kept})
