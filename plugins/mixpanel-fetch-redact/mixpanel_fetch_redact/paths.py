r"""How places in a profile are written, and the tree that they make.

``$email,address.street,devices[].ip``: paths with commas between them, steps with dots. A step is
a name, or ``*`` for each member of an object and each element of a list; ``[]`` after a step is
another way to write ``.*``. A list on the way of a name is looked through: ``devices.ip`` means
the ``ip`` of each device, too. A backslash takes the next character as it is: ``a\.b`` is one
name with a dot in it, ``\*`` a star. Blanks around a name are ignored, inside it they count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from unicodedata import normalize

from mixpanel_fetch.errors import ConfigError

EVERY = None
Path = tuple["str | None", ...]
"""The steps of a path; EVERY stands for ``*``."""

_UNIT = re.compile(r"\\.|\[\s*\]|[^\\]", re.DOTALL)  # an escaped character, "[]", or a plain one
_REMEMBERED = 10_000


def parse_paths(text: str | None, example: str) -> list[Path]:
    """Return the paths in ``text``. Raises ConfigError, whose words end in ``example``."""
    if not text or not text.strip():
        raise ConfigError(f"no property is named; write {example}")
    units: list[str] = _UNIT.findall(text)
    if sum(map(len, units)) < len(text):
        raise ConfigError(f"{text!r} ends in a lone backslash; write {example}")
    return [_path(part, example) for part in _split(units, ",")]


def _path(units: Sequence[str], example: str) -> Path:
    path: list[str | None] = []
    for step in _split(units, "."):
        path += _steps(_stripped(step), example)
    if path[0] is EVERY:
        raise ConfigError(f"a path begins with the name of a property, not with *; write {example}")
    return tuple(path)


def _steps(units: list[str], example: str) -> list[str | None]:
    """Return the step that ``units`` spell, and one more for each ``[]`` after it."""
    following: list[str | None] = []
    while units and units[-1].startswith("["):
        if units.pop() == "[":
            raise ConfigError(rf"write [] for each element, and \[ for a bracket, as in {example}")
        following.append(EVERY)
        units = _stripped(units)
    if not units:
        raise ConfigError(f"a step without a name; write {example}")
    if units == ["*"]:
        return [EVERY, *following]
    # Taken as characters they would match nothing, and what was meant would get through.
    if any(unit in {"*", "]"} or unit.startswith("[") for unit in units):
        raise ConfigError(
            r"* is a whole step, and [] comes last in one: there is no pattern or index."
            rf" Write \* \[ \] for the characters, and paths as in {example}"
        )
    return ["".join(unit[-1] for unit in units), *following]


def _split(units: Sequence[str], separator: str) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for unit in units:
        if unit == separator:
            parts.append([])
        else:
            parts[-1].append(unit)
    return parts


def _stripped(units: Sequence[str]) -> list[str]:
    """Return ``units`` without outer blanks; an escaped blank is none."""
    left, right = 0, len(units)
    while left < right and units[left].isspace():
        left += 1
    while left < right and units[right - 1].isspace():
        right -= 1
    return list(units[left:right])


def exact(name: str) -> str:
    """Return ``name``: names match as they are."""
    return name


def folded(name: str) -> str:
    """Return what names have in common that differ in case, or in how a letter is composed."""
    return normalize("NFKC", normalize("NFKC", name).casefold())


def folding(match_case: bool) -> Callable[[str], str]:
    """Return what two names are compared by."""
    return exact if match_case else folded


class Children(dict[str, "Node | None"]):
    """The node of each member, by its name as it is spelled; None for a member not on any path.

    Names are looked up for every row, so what was found is remembered, up to a limit: names can
    be data.
    """

    def __init__(
        self, named: dict[str, Node], every: Node | None, fold: Callable[[str], str]
    ) -> None:
        super().__init__()
        self._named, self._every, self._fold = named, every, fold

    def __missing__(self, name: str) -> Node | None:
        node = self._named.get(self._fold(name), self._every)
        if len(self) < _REMEMBERED:
            self[name] = node
        return node


@dataclass(frozen=True, eq=False)
class Node:
    """A place in a profile: the end of a path (``leaf``), or on the way to others.

    ``children`` are those of an object here, ``elements`` is the node of each element of a list.
    """

    leaf: bool
    children: Children
    elements: Node | None = None


def tree_of(paths: Sequence[Path], fold: Callable[[str], str]) -> Node:
    """Return the node that all ``paths`` start from, names compared by ``fold``."""
    if () in paths:
        return Node(True, Children({}, None, fold))
    named: dict[str, list[Path]] = {}
    every = [path[1:] for path in paths if path[0] is EVERY]
    for path in paths:
        if path[0] is not EVERY:
            named.setdefault(fold(path[0]), []).append(path[1:])
    children = Children(
        {name: tree_of([*rests, *every], fold) for name, rests in named.items()},
        tree_of(every, fold) if every else None,
        fold,
    )
    if not every:
        return Node(False, children)  # a list here is looked through
    through = [path for path in paths if path[0] is not EVERY]
    return Node(False, children, tree_of([*every, *through], fold))
