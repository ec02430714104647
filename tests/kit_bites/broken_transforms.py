"""Transforms that break one promise each."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.hookspecs import TransformSpec

from .biting import Bite
from .correct import keep, transform_case

BITES: list[Bite] = []


def bites(kills, says):
    """Register the decorated function: made anew for each case by what it returns."""

    def register(make):
        def case():
            return transform_case(make())

        BITES.append(Bite(make.__name__.replace("_", " "), case, kills, says))
        return make

    return register


def columns(batch):
    return list(batch.distinct_ids), list(batch.properties), list(batch.last_seen)


def unchecked(ids, properties, seen):
    """A batch that has never been looked at."""
    batch = Batch.__new__(Batch)
    vars(batch).update(distinct_ids=ids, properties=properties, last_seen=seen)
    return batch


@bites("test_a_batch_or_none_comes_back", "must return a Batch or None, not list")
def rows_come_back():
    return lambda batch: list(batch.rows())


@bites("test_a_batch_or_none_comes_back", "must have one length")
def the_columns_differ_in_length():
    return lambda batch: unchecked(batch.distinct_ids[1:], batch.properties, batch.last_seen)


@bites("test_a_batch_or_none_comes_back", "properties must be bytes, not str")
def properties_are_text():
    return lambda b: Batch(b.distinct_ids, [one.decode() for one in b.properties], b.last_seen)


@bites("test_a_batch_or_none_comes_back", "properties must be JSON in UTF-8")
def properties_are_python():
    return lambda b: Batch(
        b.distinct_ids, [repr(json.loads(one)).encode() for one in b.properties], b.last_seen
    )


@bites("test_a_batch_or_none_comes_back", "must be an aware datetime in UTC")
def instants_are_naive():
    return lambda b: Batch(
        b.distinct_ids, b.properties, [s and s.replace(tzinfo=None) for s in b.last_seen]
    )


@bites("test_a_batch_or_none_comes_back", "fewer rows, not more")
def rows_are_doubled():
    return lambda batch: Batch(*(column * 2 for column in columns(batch)))


@bites("test_an_empty_batch_is_taken", "must take an empty batch")
def the_first_row_is_looked_at():
    return lambda batch: batch if batch.distinct_ids[0] else None


@bites("test_the_input_is_not_changed", "must not change its input")
def rows_are_deleted_in_place():
    def transform(batch):
        for column in (batch.distinct_ids, batch.properties, batch.last_seen):
            del column[1:]
        return batch

    return transform


@bites("test_the_same_page_gives_the_same_rows", "a page that comes twice must give the same")
def an_id_is_kept_once():
    seen = set()

    def transform(batch):
        kept = [one not in seen for one in batch.distinct_ids]
        seen.update(batch.distinct_ids)
        return Batch(*(list(itertools.compress(column, kept)) for column in columns(batch)))

    return transform


def numbered():
    """A transform by name that differs each time it is made."""
    count = itertools.count()

    def factory(argument):
        number = next(count)

        def transform(batch):
            marked = [one[:-1] + f',"made":{number}}}'.encode() for one in batch.properties]
            return Batch(batch.distinct_ids, marked, batch.last_seen)

        return transform

    return transform_case("mine:x", spec=TransformSpec("mine", factory))


BITES.append(
    Bite(
        "each one differs",
        numbered,
        "test_made_anew_it_gives_the_same_rows",
        "made anew must give the same rows",
    )
)


@bites("test_each_row_keeps_what_belongs_to_it", "has the properties of")
def ids_are_filtered_alone():
    def transform(batch):
        ids = batch.distinct_ids[1:]
        return Batch(ids, batch.properties[: len(ids)], batch.last_seen[1:])

    return transform


@bites("test_each_row_keeps_what_belongs_to_it", "was in no row that came in")
def ids_are_changed_without_a_word():
    return lambda b: Batch([f"x{one}" for one in b.distinct_ids], b.properties, b.last_seen)


@bites("test_each_row_keeps_what_belongs_to_it", "has last_seen")
def instants_are_moved():
    return lambda b: Batch(b.distinct_ids, b.properties, [*b.last_seen[1:], *b.last_seen[:1]])


@bites("test_values_keep_what_they_are", "must keep its value")
def numbers_become_floats():
    def text(one):
        return json.dumps(json.loads(one, parse_int=float)).encode()

    return lambda b: Batch(b.distinct_ids, [text(one) for one in b.properties], b.last_seen)


@bites("test_values_keep_what_they_are", "must take every value that JSON can hold")
def large_integers_are_refused():
    def transform(batch):
        if any(b"1844674407370955161" in text for text in batch.properties):
            raise OverflowError("beyond 64 bits")
        return batch

    return transform


@bites("test_an_error_spoils_no_other_page", "after an error, a page must give the same rows")
def an_error_leaves_rows_behind():
    rows = []

    def transform(batch):
        rows.extend(zip(*columns(batch), strict=True))
        good = [(i, json.dumps(json.loads(text)).encode(), seen) for i, text, seen in rows]
        rows.clear()
        return Batch(*map(list, zip(*good, strict=True))) if good else Batch()

    def lasting(batch):
        try:
            return keep(transform(batch))
        except Exception:
            rows[:] = [("left", b"{}", None)]
            raise

    return lasting


@bites("test_an_error_spoils_no_other_page", "is refused, and it is not")
def what_should_be_refused_is_kept():
    return lambda batch: batch


@bites("test_a_whole_fetch", "must work|must end well")
def odd_ids_are_refused():
    def transform(batch):
        if any("nul" in one for one in batch.distinct_ids):
            raise ConfigError("what an id")
        return keep(batch)

    return transform


@bites("test_a_whole_fetch", "must hold what the transform makes of it alone")
def pages_after_the_first_lose_rows():
    pages = SimpleNamespace(seen=set())

    def transform(batch):
        first = batch.distinct_ids[:1]
        pages.seen.update(first)
        return Batch(*(column[len(pages.seen) :] for column in columns(batch)))

    return transform


@bites("test_a_page_that_is_refused_fails_alone", "must fail its page 1 and no other")
def an_error_fails_every_page_after_it():
    state = SimpleNamespace(broken=False)

    def transform(batch):
        if state.broken:
            raise ConfigError("broken")
        try:
            return keep(batch)
        except ConfigError:
            state.broken = True
            raise

    return transform
