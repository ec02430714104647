"""Strategies for hypothesis: profiles, rows and batches as Mixpanel may send them.

Needs hypothesis: ``pip install mixpanel-fetch[testing]``.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from hypothesis import strategies as st

from mixpanel_fetch.batch import Batch

NAMES = ("$name", "$email", "$city", "plan", "Plan", "a.b", 'say "hi"', "it's", "", " ")
_FIRST, _LAST = datetime(1, 1, 2), datetime(9999, 12, 30)


def texts(max_size: int = 20) -> st.SearchStrategy[str]:
    """Any text that UTF-8 can hold: NUL and every plane, no lone surrogate."""
    return st.text(st.characters(codec="utf-8"), max_size=max_size)


def property_names() -> st.SearchStrategy[str]:
    """Names of properties: Mixpanel's own, awkward ones, and any text."""
    return st.sampled_from(NAMES) | texts()


def json_values(max_leaves: int = 8) -> st.SearchStrategy[Any]:
    """Whatever JSON holds: integers of any size, floats, texts, null, nested lists and objects."""
    numbers = st.integers() | st.integers(2**53, 2**70) | st.floats(allow_nan=False).filter(_finite)
    leaves = st.none() | st.booleans() | numbers | texts()
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(property_names(), inner, max_size=4)
        ),
        max_leaves=max_leaves,
    )


def instants() -> st.SearchStrategy[datetime]:
    """Aware datetimes in UTC, to the microsecond."""
    return st.datetimes(_FIRST, _LAST, timezones=st.just(timezone.utc))


def rows(distinct_ids: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Rows as ``Batch.rows`` yields them."""
    return st.fixed_dictionaries(
        {
            "distinct_id": texts().filter(bool) if distinct_ids is None else distinct_ids,
            "properties": st.dictionaries(property_names(), json_values(), max_size=6),
            "last_seen": st.none() | instants(),
        }
    )


def batches(
    max_size: int = 10, *, distinct_ids: st.SearchStrategy[str] | None = None
) -> st.SearchStrategy[Batch]:
    """Batches of up to ``max_size`` rows; an id may come twice."""
    return st.lists(rows(distinct_ids), max_size=max_size).map(Batch.from_rows)


def profiles() -> st.SearchStrategy[dict[str, Any]]:
    """Profiles as Engage answers them, for a simulator: ``$distinct_id`` and ``$properties``."""
    properties = st.dictionaries(property_names(), json_values(), max_size=6)
    return st.fixed_dictionaries({"$distinct_id": texts().filter(bool), "$properties": properties})


def _finite(number: float) -> bool:
    return abs(number) != float("inf")
