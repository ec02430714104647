"""How a broken sink is registered."""

from __future__ import annotations

from .biting import Bite, words_of
from .memory import (
    MemoryEngine,
    case_of,
)

BITES: list[Bite] = []


def bites(kills, says, *, base=MemoryEngine, part="load", broken="", **case):
    """Register the decorated class as a broken load (or engine) of ``base``."""

    def register(kind):
        engine = type(base.__name__, (base,), {"load": kind}) if part == "load" else kind
        words = broken or words_of(kind)
        for test, message in zip(_each(kills), _each(says, _each(kills)), strict=True):
            BITES.append(Bite(words, lambda: case_of(engine, **case), test, message))
        return kind

    return register


def _each(one, like=("",)):
    return (one,) * len(like) if isinstance(one, str) else one
