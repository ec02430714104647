r"""The transforms ``select``, ``drop`` and ``rename``: which properties a row keeps, and their names.

Written ``select:a,b``, ``drop:a,b``, ``rename:a=b,c=d``. Blanks around a name are ignored, inside
it they count; a backslash takes the next character as it is: ``a\,b`` is one name, ``\ a`` starts
with a blank. Names match exactly, case included. A name that a row lacks is no error.

Values keep their bytes and keys their order; ``distinct_id`` is never touched. ``$last_seen``
lives in the column ``last_seen`` and not among the properties, so ``select`` keeps it without
being asked, ``drop:$last_seen`` empties the column, and ``rename`` refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.hookspecs import TransformSpec, hookimpl
from mixpanel_fetch.protocols import Transform

LAST_SEEN = "$last_seen"

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_UNIT = re.compile(r"\\.|[^\\]", re.DOTALL)  # an escaped character, or a plain one


def select(argument: str | None) -> Transform:
    """Keep only the properties named in ``argument``. Raises ConfigError for a bad argument."""
    return Select(frozenset(_names("select", argument)))


def drop(argument: str | None) -> Transform:
    """Remove the properties named in ``argument``. Raises ConfigError for a bad argument."""
    return Drop(frozenset(_names("drop", argument)))


def rename(argument: str | None) -> Transform:
    """Rename properties, ``old=new`` each, all at once: ``a=b,b=a`` swaps.

    A property that has the new name already gives way; where the old one is missing it stays.
    Raises ConfigError for a bad argument, and if two properties were to have one name.
    """
    pairs = _pairs(argument)
    if len(set(pairs.values())) < len(pairs):
        raise ConfigError("rename: two properties cannot be given one name")
    if LAST_SEEN in pairs or LAST_SEEN in pairs.values():
        raise ConfigError(f"rename: {LAST_SEEN} is the column last_seen and keeps its name")
    return Rename(pairs)


class Select:
    """See :func:`select`."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def __call__(self, batch: Batch) -> Batch:
        return replace(batch, properties=[self._row(text) for text in batch.properties])

    def _row(self, text: bytes) -> bytes:
        return _encode({key: value for key, value in _decode(text).items() if key in self._names})


class Drop:
    """See :func:`drop`."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def __call__(self, batch: Batch) -> Batch:
        shaped = replace(batch, properties=[self._row(text) for text in batch.properties])
        if LAST_SEEN in self._names:
            return replace(shaped, last_seen=[None] * len(batch))
        return shaped

    def _row(self, text: bytes) -> bytes:
        kept = {key: value for key, value in _decode(text).items() if key not in self._names}
        return _encode(kept)


class Rename:
    """See :func:`rename`."""

    def __init__(self, pairs: dict[str, str]) -> None:
        self._pairs = pairs

    def __call__(self, batch: Batch) -> Batch:
        return replace(batch, properties=[self._row(text) for text in batch.properties])

    def _row(self, text: bytes) -> bytes:
        properties = _decode(text)
        taken = {new for old, new in self._pairs.items() if old in properties}
        return _encode(
            {
                self._pairs.get(key, key): value
                for key, value in properties.items()
                if key in self._pairs or key not in taken
            }
        )


def _names(transform: str, argument: str | None) -> list[str]:
    example = f"as in {transform}:$email,plan"
    if not argument:
        raise ConfigError(f"{transform} needs the names of properties, {example}")
    return [_name(part, example) for part in _split(argument, ",", example)]


def _pairs(argument: str | None) -> dict[str, str]:
    example = "as in rename:$email=email,plan=tier"
    if not argument:
        raise ConfigError(f"rename needs old and new names, {example}")
    pairs: dict[str, str] = {}
    for part in _split(argument, ",", example):
        names = [_name(text, example) for text in _split(part, "=", example)]
        if len(names) != 2:
            raise ConfigError(f"rename: {part!r} is not old=new, {example}")
        old, new = names
        if pairs.setdefault(old, new) != new:
            raise ConfigError(f"rename: {old!r} cannot be given two names")
    return pairs


def _split(text: str, separator: str, example: str) -> list[str]:
    """Split at each unescaped ``separator``; escapes stay as they are."""
    units = _UNIT.findall(text)
    if sum(map(len, units)) < len(text):
        raise ConfigError(f"{text!r} ends in a lone backslash, {example}")
    parts = [""]
    for unit in units:
        if unit == separator:
            parts.append("")
        else:
            parts[-1] += unit
    return parts


def _name(part: str, example: str) -> str:
    """Return the name that ``part`` spells: outer blanks gone, escapes resolved."""
    units = _UNIT.findall(part)
    while units and units[0].isspace():
        del units[0]
    while units and units[-1].isspace():
        del units[-1]
    if not units:
        raise ConfigError(f"a property without a name, {example}")
    return "".join(unit[-1] for unit in units)


@hookimpl
def register_transforms() -> Iterable[TransformSpec]:
    """Return the transforms ``select``, ``drop`` and ``rename``."""
    return [
        TransformSpec("select", select, None, "keep only these properties: select:$email,plan"),
        TransformSpec("drop", drop, None, "remove these properties: drop:$email,plan"),
        TransformSpec("rename", rename, None, "rename properties: rename:$email=email,plan=tier"),
    ]
