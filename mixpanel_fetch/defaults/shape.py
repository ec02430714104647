r"""The transforms ``select``, ``drop`` and ``rename``: which properties stay, and their names.

Written ``select:a,b``, ``drop:a,b``, ``rename:a=b,c=d``. Blanks around a name are ignored, inside
it they count; a backslash takes the next character as it is: ``a\,b`` is one name, ``\ a`` starts
with a blank. Names match exactly, case included. A name that a row lacks is no error.

Values keep their bytes and keys their order; ``distinct_id`` is never touched. ``$last_seen``
lives in the column ``last_seen`` and not among the properties, so ``select`` keeps it without
being asked, ``drop:$last_seen`` empties the column, and ``rename`` refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import partial

import msgspec

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.hookspecs import TransformSpec, hookimpl
from mixpanel_fetch.protocols import Transform

LAST_SEEN = "$last_seen"
Properties = dict[str, msgspec.Raw]
"""A row's properties by name; each value is its JSON text."""

_decode = msgspec.json.Decoder(Properties).decode
_encode = msgspec.json.Encoder().encode
_UNIT = re.compile(r"\\.|[^\\]", re.DOTALL)  # an escaped character, or a plain one


def select(argument: str | None) -> Transform:
    """Keep only the properties named in ``argument``. Raises ConfigError for a bad argument."""
    return Shape(partial(_selected, frozenset(_names("select", argument))))


def drop(argument: str | None) -> Transform:
    """Remove the properties named in ``argument``. Raises ConfigError for a bad argument."""
    names = frozenset(_names("drop", argument))
    return Shape(partial(_dropped, names), keeps_last_seen=LAST_SEEN not in names)


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
    return Shape(partial(_renamed, pairs))


@dataclass(frozen=True)
class Shape:
    """A transform that makes new properties out of each row's, one row at a time."""

    row: Callable[[Properties], Properties]
    keeps_last_seen: bool = True

    def __call__(self, batch: Batch) -> Batch:
        """Return a new batch; ``batch`` stays as it is."""
        return Batch(
            batch.distinct_ids,
            [_encode(self.row(_decode(text))) for text in batch.properties],
            batch.last_seen if self.keeps_last_seen else [None] * len(batch),
        )


def _selected(names: Set[str], row: Properties) -> Properties:
    return {key: value for key, value in row.items() if key in names}


def _dropped(names: Set[str], row: Properties) -> Properties:
    return {key: value for key, value in row.items() if key not in names}


def _renamed(pairs: Mapping[str, str], row: Properties) -> Properties:
    taken = {new for old, new in pairs.items() if old in row}
    return {
        pairs.get(key, key): value for key, value in row.items() if key in pairs or key not in taken
    }


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
