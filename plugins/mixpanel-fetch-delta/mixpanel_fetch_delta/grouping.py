"""Things in groups that do not grow too large."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def grouped(things: Iterable[T], size_of: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Yield ``things`` in their order, in groups of up to ``limit`` together, one at least."""
    group: list[T] = []
    size = 0
    for thing in things:
        if group and size + size_of(thing) > limit:
            yield group
            group, size = [], 0
        group.append(thing)
        size += size_of(thing)
    if group:
        yield group
