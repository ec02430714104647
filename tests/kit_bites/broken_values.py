"""Sinks that break one promise each: of values that must come back."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from .memory import (
    MemoryLoad,
)
from .registering import bites


def value_bite(kills, says, change):
    """Register a load that stores ``change(row)``."""

    class Changing(MemoryLoad):
        def row(self, distinct_id, properties, last_seen):
            return change(distinct_id, properties, last_seen)

    bites(kills, says, broken=change.__name__.replace("_", " "))(Changing)


def reading(change):
    """Return a change of a row whose properties go through ``change``."""

    def changed(distinct_id, properties, last_seen):
        return distinct_id, json.dumps(change(json.loads(properties))).encode(), last_seen

    changed.__name__ = change.__name__
    return changed


@reading
def integers_become_floats(properties):
    return json.loads(json.dumps(properties), parse_int=float)


@reading
def keys_are_in_small_letters(properties):
    return {key.lower(): value for key, value in properties.items()}


@reading
def dollars_are_taken_away(properties):
    return {key.lstrip("$"): value for key, value in properties.items()}


@reading
def keys_with_dots_are_left_out(properties):
    return {k: v for k, v in properties.items() if "." not in k}


@reading
def nulls_are_left_out(properties):
    return {key: value for key, value in properties.items() if value is not None}


@reading
def lists_become_texts(properties):
    return {k: json.dumps(v) if isinstance(v, list) else v for k, v in properties.items()}


@reading
def booleans_are_numbers(properties):
    return {k: int(v) if isinstance(v, bool) else v for k, v in properties.items()}


@reading
def floats_are_short(properties):
    return json.loads(json.dumps(properties), parse_float=lambda text: round(float(text), 6))


def odd_white_space_is_refused(distinct_id, properties, last_seen):
    if b"\n" in properties:
        raise ValueError("a row is one line")
    return distinct_id, properties, last_seen


def nul_is_dropped(distinct_id, properties, last_seen):
    return distinct_id, properties.replace(rb"\u0000", b""), last_seen


def text_is_ascii(distinct_id, properties, last_seen):
    return distinct_id, properties.decode().encode("ascii", "replace"), last_seen


def texts_are_cut(distinct_id, properties, last_seen):
    return distinct_id, properties.replace(b"x" * 70_000, b"x" * 65_535), last_seen


def dates_are_read(distinct_id, properties, last_seen):
    return distinct_id, properties.replace(b"2026-01-31T00:00:00", b"2026-01-31"), last_seen


def columns_come_over_properties(distinct_id, properties, last_seen):
    row = json.loads(properties)
    if "distinct_id" in row:
        row["distinct_id"] = distinct_id
    return distinct_id, json.dumps(row).encode(), last_seen


for says, change in (
    ("properties .*large integers", integers_become_floats),
    ("properties .*keys that differ only in case", keys_are_in_small_letters),
    (r"properties .*keys with \$, dots and quotes", dollars_are_taken_away),
    (r"properties .*keys with \$, dots and quotes", keys_with_dots_are_left_out),
    ("properties .*nulls", nulls_are_left_out),
    ("properties .*nested", lists_become_texts),
    ("properties .*NUL", nul_is_dropped),
    ("properties .*unicode", text_is_ascii),
    ("properties .*long texts", texts_are_cut),
    ("properties .*look like something else", dates_are_read),
    ("properties .*named like columns", columns_come_over_properties),
    ("properties .*booleans and numbers", booleans_are_numbers),
    ("properties .*floats", floats_are_short),
    ("properties .*white space", odd_white_space_is_refused),
):
    value_bite("test_properties_come_back", says, change)


def ids_are_in_small_letters(distinct_id, properties, last_seen):
    return distinct_id.lower(), properties, last_seen


def ids_lose_their_blanks(distinct_id, properties, last_seen):
    return distinct_id.strip(), properties, last_seen


def ids_are_cut(distinct_id, properties, last_seen):
    return distinct_id[:250], properties, last_seen


for change in (ids_are_in_small_letters, ids_lose_their_blanks, ids_are_cut):
    value_bite(
        "test_ids_come_back", "ids must come back as they were sent, each with its own row", change
    )


def instants_lose_their_fraction(distinct_id, properties, last_seen):
    return distinct_id, properties, last_seen and last_seen.replace(microsecond=0)


def instants_are_numbers(distinct_id, properties, last_seen):
    if last_seen is not None and last_seen.year < 1970:
        raise OverflowError("before 1970")
    return distinct_id, properties, last_seen


def no_instant_is_the_first(distinct_id, properties, last_seen):
    return distinct_id, properties, last_seen or datetime(1970, 1, 1, tzinfo=timezone.utc)


for change in (instants_lose_their_fraction, instants_are_numbers, no_instant_is_the_first):
    value_bite("test_instants_come_back", "(last_seen must come back|a sink must|write)", change)


@bites("test_properties_come_back", "a sink must take properties with NUL|write")
class NulIsRefused(MemoryLoad):
    def row(self, distinct_id, properties, last_seen):
        if rb"\u0000" in properties:
            raise ValueError("A string literal cannot contain NUL")
        return distinct_id, properties, last_seen


@bites("test_types_may_change_from_page_to_page", "must land the page; it raised TypeError")
class TheFirstPageFixesTheTypes(MemoryLoad):
    types: dict = {}  # noqa: RUF012

    def row(self, distinct_id, properties, last_seen):
        kind = type(json.loads(properties).get("v"))
        if self.types.setdefault(self.run.info.run_id, kind) is not kind:
            raise TypeError(f"not {kind}")
        return distinct_id, properties, last_seen


@bites("test_properties_may_come_and_go", "properties that no page before it had: the row")
class TheFirstPageFixesTheColumns(MemoryLoad):
    names: dict = {}  # noqa: RUF012

    def row(self, distinct_id, properties, last_seen):
        row = json.loads(properties)
        known = self.names.setdefault(self.run.info.run_id, set(row))
        kept = {name: value for name, value in row.items() if name in known}
        return distinct_id, json.dumps(kept).encode(), last_seen


@bites("test_what_is_replaced_is_counted", "must count in repaired_values", replaced={"\0": "?"})
class WhatIsReplacedIsNotCounted(MemoryLoad):
    def row(self, distinct_id, properties, last_seen):
        return distinct_id, properties.replace(rb"\u0000", b"?"), last_seen
