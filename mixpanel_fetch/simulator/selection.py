"""Which profiles a query finds, in which order."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, overload

from mixpanel_fetch.simulator import where
from mixpanel_fetch.simulator.population import (
    Population,
    encode_profile,
    id_text,
    properties_of,
    with_properties,
)
from mixpanel_fetch.simulator.queries import EngageQuery

_keys = itertools.count()


@dataclass(frozen=True)
class Selection:
    """What a query found: positions in a population, then ids that have no profile.

    `key` is equal for selections that are the same rows, for caches.
    """

    population: Population
    positions: Sequence[int]
    bare_ids: Sequence[Any] = ()
    key: Hashable = field(default_factory=partial(next, _keys))

    def __len__(self) -> int:
        return len(self.positions) + len(self.bare_ids)

    def texts(self, start: int, stop: int, names: frozenset[str] | None) -> Iterator[bytes]:
        """Give the JSON texts of some rows, with only the properties in `names` if it is set."""
        profiles = len(self.positions)
        texts: Iterator[bytes] = map(self.population.text, self.positions[start:stop])
        if names is not None:
            # Mixpanel's own design note: these two always come (facts sheet section 3).
            kept = names | {"$distinct_id", "$last_seen"}
            texts = (with_properties(text, kept) for text in texts)
        bare = self.bare_ids[max(start - profiles, 0) : max(stop - profiles, 0)]
        return chain(texts, (encode_profile({"$distinct_id": bare_id}) for bare_id in bare))


class Shuffled(Sequence[int]):
    """The numbers below `count` in another order, each once, in constant memory."""

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._offset = seed
        self._stride = _coprime(count, seed)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        return (self._offset + index * self._stride) % self._count


def select(
    query: EngageQuery,
    population: Population,
    cohort: Collection[Any] | None,
    order: Sequence[int],
    scope: Callable[[Mapping[str, Any]], where.Scope],
) -> Selection:
    """Find the profiles that a query asks for.

    `cohort` is the members' ids if the query filters by one; `order` are the positions in which
    to look. Without any filter nothing is read and nothing copied.
    """
    wanted = query.distinct_ids
    members = None if cohort is None else frozenset(map(id_text, cohort))
    if members is not None:
        wanted = members if wanted is None else wanted & members
    if wanted is None and query.condition is None:
        key = (population.key, "all") if isinstance(order, range) else next(_keys)
        return Selection(population, order, key=key)
    positions = [
        position
        for position in order
        if (wanted is None or population.distinct_id(position) in wanted)
        and _satisfies(query.condition, population, position, scope)
    ]
    return Selection(population, positions, _bare_ids(query, population, cohort))


def scope_of(profile: Mapping[str, Any], *, now: float, utc_offset: float) -> where.Scope:
    """Give what a `where` sees of a profile: its properties, and its id as one of them."""
    distinct_id = profile.get("$distinct_id")
    properties = {"$distinct_id": distinct_id, **properties_of(profile)}
    count = partial(_behavior_count, id_text(distinct_id))
    return where.Scope(properties, count, now, utc_offset)


def _bare_ids(
    query: EngageQuery, population: Population, cohort: Collection[Any] | None
) -> list[Any]:
    """Give the cohort's ids without a profile (facts sheet 7.7); a condition excludes them."""
    if cohort is None or not query.include_all_users or query.condition is not None:
        return []
    bare = {id_text(member): member for member in cohort}
    for position in range(len(population)):
        bare.pop(population.distinct_id(position), None)
    asked = bare.keys() if query.distinct_ids is None else bare.keys() & query.distinct_ids
    return [bare[text] for text in sorted(asked)]


def _satisfies(
    condition: where.Expression | None,
    population: Population,
    position: int,
    scope: Callable[[Mapping[str, Any]], where.Scope],
) -> bool:
    if condition is None:
        return True
    return where.truth(condition.evaluate(scope(population.value(position))))


def _behavior_count(distinct_id: str, behavior: str) -> int:
    # No events are simulated: a made-up count from 0 to 3 that never changes.
    return zlib.crc32(f"{distinct_id}\0{behavior}".encode("utf-8", "surrogatepass")) % 4


def _coprime(count: int, seed: int) -> int:
    stride = max(int(count * 0.618) + seed % 97, 1)
    while math.gcd(stride, max(count, 1)) != 1:  # ends: some number in `count` steps is coprime
        stride += 1
    return stride
