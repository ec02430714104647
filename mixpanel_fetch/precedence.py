"""Settings from several sources: each value knows where it came from, and the later source wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Source = Literal["default", "file", "keyring", "environment", "argument"]
IDENTITY = frozenset({"username", "secret", "api_secret"})
"""The settings that say who asks."""


@dataclass(frozen=True)
class Origin:
    """Where a value came from. ``name``: the file's table, the variable, the keyring's entry."""

    source: Source
    name: str = ""

    def __str__(self) -> str:
        if self.source == "environment":
            return self.name
        return f"{self.source} {self.name}".strip()


@dataclass(frozen=True)
class Given:
    """A value and where it came from."""

    value: Any = field(repr=False)
    origin: Origin


Layer = Mapping[str, Given]
"""What one source says, by the name of the setting."""


def merged(layers: Iterable[Layer]) -> dict[str, Given]:
    """Return what ``layers`` come to, setting by setting; the last one to say something wins.

    A project secret and a service account do not mix: the kind that the higher layer brings
    leaves the other kind of the layers below out.
    """
    known: dict[str, Given] = {}
    for layer in layers:
        known = _without(_ousted_by(layer), known) | dict(layer)
    return known


def stacked(
    top: Layer, account: Layer, environment: Layer, arguments: Layer, *, account_wins: bool
) -> dict[str, Given]:
    """Return what the file's top level, its account, the environment and arguments come to.

    An account that says who asks leaves out what the top level says of that; one that wins over
    the environment, what the environment says of that, too: two secrets are never mixed.
    """
    if account.keys() & IDENTITY:
        top = _without(IDENTITY, top)
        environment = _without(IDENTITY, environment) if account_wins else environment
    middle = (environment, account) if account_wins else (account, environment)
    return merged((top, *middle, arguments))


def names_someone(layer: Layer) -> bool:
    """Whether ``layer`` says who asks, and not only with which secret."""
    return not layer.keys().isdisjoint({"username", "api_secret"})


def _ousted_by(layer: Layer) -> set[str]:
    if layer.keys() >= {"username", "secret"}:
        return {"api_secret"}
    return {"username", "secret"} if "api_secret" in layer else set()


def _without(names: Iterable[str], layer: Layer) -> dict[str, Given]:
    left_out = set(names)
    return {name: given for name, given in layer.items() if name not in left_out}
