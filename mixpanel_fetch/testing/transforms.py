"""The conformance kit for transforms."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.plugins import PluginHost
from mixpanel_fetch.protocols import Transform
from mixpanel_fetch.testing.cases import TransformCase
from mixpanel_fetch.testing.fetching import Collector, fetch, host_of
from mixpanel_fetch.testing.promises import promised
from mixpanel_fetch.testing.rows import comparable, sent_rows
from mixpanel_fetch.testing.sink_values import IDS, INSTANTS, VALUES

OWN_ID = "kit's own id"
"""A property with the row's id in it: where it stays, it must stay beside that id."""
_START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class TransformBench:
    """What the tests of a transform do with it."""

    def __init__(self, case: TransformCase) -> None:
        self.case = case

    @cached_property
    def host(self) -> PluginHost:
        """The plugins there are."""
        return host_of(self.case.spec)

    def transform(self) -> Transform:
        """Return the transform, made anew where it is written by name."""
        if not isinstance(self.case.transform, str):
            return self.case.transform
        name, mark, argument = self.case.transform.partition(":")
        registered = self.host.transform(name)
        made: Transform = registered.make(
            argument if mark else None, options=dict(self.case.options)
        )
        return made

    def pages(self) -> list[Batch]:
        """Return the batches that are tried: plain rows, odd ones, and the case's own."""
        plain = [
            Batch(
                [f"user-{page}-{n}" for n in range(40)],
                [_own(f"user-{page}-{n}", '"plan":"free","$email":"a@b.c"') for n in range(40)],
                [_START + timedelta(seconds=n) if n % 3 else None for n in range(40)],
            )
            for page in range(3)
        ]
        return [*plain, _odd_values(), _odd_ids(), *self.own()]

    def own(self) -> list[Batch]:
        """Return the case's own rows as a batch, if it has any."""
        return [Batch.from_rows(self.case.rows)] if self.case.rows else []


class TransformTests:
    """Whether a transform keeps what :mod:`mixpanel_fetch.protocols` promises of it.

    Subclass it, name the class ``Test...``, and override the fixture ``case``.
    """

    @pytest.fixture
    def case(self) -> TransformCase:
        """Override: return the TransformCase to be tested."""
        raise NotImplementedError("override the fixture case: return a TransformCase")

    @pytest.fixture
    def transforming(self, case: TransformCase) -> TransformBench:
        """Hold what a test does with the transform; not to be overridden."""
        return TransformBench(case)

    def test_a_batch_or_none_comes_back(self, transforming: TransformBench) -> None:
        """Columns of one length and of the right types, and no more rows than came in."""
        transform = transforming.transform()
        for page in transforming.pages():
            result = _applied(transform, page)
            _assert_sound(result)
            assert len(result) <= len(page), (
                f"a transform may return fewer rows, not more: {len(result)} of {len(page)}"
            )

    def test_an_empty_batch_is_taken(self, transforming: TransformBench) -> None:
        """A page may have lost all of its rows to the transform before."""
        with promised("a transform must take an empty batch"):
            result = _applied(transforming.transform(), Batch())
        assert not result, f"an empty batch must come back empty, not as {result}"

    def test_the_input_is_not_changed(self, transforming: TransformBench) -> None:
        """The batch and its lists are read-only."""
        transform = transforming.transform()
        for page in transforming.pages():
            before = Batch(page.distinct_ids[:], page.properties[:], page.last_seen[:])
            _applied(transform, page)
            assert page == before, "a transform must not change its input; return a new Batch"

    def test_the_same_page_gives_the_same_rows(self, transforming: TransformBench) -> None:
        """Nothing is remembered from page to page: the order in which pages come says nothing."""
        transform = transforming.transform()
        pages = transforming.pages()
        first = [_applied(transform, page) for page in pages]
        again = [_applied(transform, page) for page in reversed(pages)][::-1]
        for one, other in zip(first, again, strict=True):
            assert _plain(one) == _plain(other), (
                "a page that comes twice must give the same rows, whatever came in between"
            )

    def test_made_anew_it_gives_the_same_rows(self, transforming: TransformBench) -> None:
        """A resumed run makes it anew: its argument and options decide, and nothing else."""
        one, other = transforming.transform(), transforming.transform()
        for page in transforming.pages():
            assert _plain(_applied(one, page)) == _plain(_applied(other, page)), (
                "a transform made anew must give the same rows: no clock, no chance"
            )

    def test_each_row_keeps_what_belongs_to_it(self, transforming: TransformBench) -> None:
        """Ids, properties and instants that stay, stay together."""
        case = transforming.case
        transform = transforming.transform()
        for page in transforming.pages():
            seen = dict(zip(page.distinct_ids, page.last_seen, strict=True))
            for row in sent_rows(_applied(transform, page)):
                identity, properties = row["distinct_id"], row["properties"]
                if case.changes_ids:
                    continue
                assert identity in seen, f"the id {identity!r} was in no row that came in"
                if not case.changes_values:
                    assert properties.get(OWN_ID, identity) == identity, (
                        f"the row {identity!r} has the properties of {properties[OWN_ID]!r}"
                    )
                allowed = {None, seen[identity]}
                assert case.changes_last_seen or row["last_seen"] in allowed, (
                    f"the row {identity!r} has last_seen {row['last_seen']}, not {seen[identity]}"
                )

    def test_values_keep_what_they_are(self, transforming: TransformBench) -> None:
        """Large integers, odd characters and deep nesting survive where a property stays."""
        if transforming.case.changes_values or transforming.case.changes_ids:
            pytest.skip("the case says that values or ids are changed on purpose")
        transform = transforming.transform()
        page = _odd_values()
        before = {row["distinct_id"]: row["properties"] for row in sent_rows(page)}
        with promised("a transform must take every value that JSON can hold"):
            result = _applied(transform, page)
        for row in sent_rows(result):
            came = before[row["distinct_id"]]
            for name in row["properties"].keys() & came.keys():
                one, other = (_text({name: each[name]}) for each in (row["properties"], came))
                assert one == other, f"a property that stays must keep its value: {one} was {other}"

    def test_an_error_spoils_no_other_page(self, transforming: TransformBench) -> None:
        """What it raises fails one page; the next is as if nothing had been."""
        transform = transforming.transform()
        page = transforming.pages()[0]
        before = _plain(_applied(transform, page))
        bad = Batch(["bad", "worse"], [b'{"plan":', None], [None, None])  # type: ignore[list-item]
        refused = [Batch.from_rows([row]) for row in transforming.case.refused]
        for one in (bad, *refused):
            try:
                transform(one)
            except Exception:  # noqa: BLE001  (a plugin may raise what it likes here)
                continue
            assert one is bad, f"the case says that {_plain(one)} is refused, and it is not"
        assert _plain(_applied(transform, page)) == before, (
            "after an error, a page must give the same rows"
        )

    def test_a_whole_fetch(self, transforming: TransformBench) -> None:
        """In the pipeline, no page fails, and each holds what the transform makes of it."""
        from mixpanel_fetch.simulator import EngageSimulator, awkward_profiles

        case, host = transforming.case, transforming.host
        plain, seen = Collector(), Collector()
        with EngageSimulator(profiles=awkward_profiles(100)) as simulator:
            fetch(simulator, plain, host, page_size=25)
            with promised("a whole fetch with the transform must work"):
                result = fetch(
                    simulator,
                    seen,
                    host,
                    page_size=25,
                    transforms=[case.transform],
                    options=case.options,
                )
        assert result.exit_code == 0, f"a whole fetch must end well: {result.failures}"
        transform = transforming.transform()
        expected = {index: _applied(transform, page) for index, page in plain.pages.items()}
        for index, page in expected.items():
            assert _plain(seen.pages[index]) == _plain(page), (
                f"page {index} of a fetch must hold what the transform makes of it alone"
            )

    def test_a_page_that_is_refused_fails_alone(self, transforming: TransformBench) -> None:
        """In the pipeline, an error is that page's failure; the others land."""
        from mixpanel_fetch.simulator import EngageSimulator

        case = transforming.case
        if not case.refused:
            pytest.skip("the case names no rows that are refused")
        profiles = [{"$distinct_id": f"u{n}", "$properties": {"plan": "free"}} for n in range(15)]
        bad = dict(case.refused[0])
        profiles[7] = {"$distinct_id": bad["distinct_id"], "$properties": bad["properties"]}
        seen = Collector()
        with EngageSimulator(profiles=profiles) as simulator:
            result = fetch(
                simulator,
                seen,
                transforming.host,
                page_size=5,
                transforms=[case.transform],
                options=case.options,
            )
        said = (result.failed_page_indices, [one.stage for one in result.failures])
        assert said == ((1,), ["transform"]), (
            f"a row that is refused must fail its page 1 and no other, not {said}"
        )


def _applied(transform: Transform, page: Batch) -> Batch:
    result = transform(page)
    assert result is None or isinstance(result, Batch), (
        f"a transform must return a Batch or None, not {type(result).__name__}"
    )
    return result or Batch()


def _own(identity: str, members: str) -> bytes:
    return f"{{{json.dumps(OWN_ID)}:{json.dumps(identity)},{members}}}".encode()


def _odd_values() -> Batch:
    texts = [text for texts in VALUES.values() for text in texts]
    ids = [f"odd-{number}" for number in range(len(texts))]
    seen = [INSTANTS[number % len(INSTANTS)] for number in range(len(texts))]
    return Batch(ids, [text.encode() for text in texts], seen)


def _odd_ids() -> Batch:
    ids = [one for ids in IDS.values() for one in ids]
    return Batch(ids, [_own(one, '"plan":null') for one in ids], [None] * len(ids))


def _assert_sound(batch: Batch) -> None:
    columns = (batch.distinct_ids, batch.properties, batch.last_seen)
    lengths = [len(column) for column in columns]
    assert len(set(lengths)) == 1, f"the columns of a batch must have one length, not {lengths}"
    for identity, text, seen in zip(*columns, strict=True):
        assert isinstance(identity, str), f"a distinct_id must be text, not {identity!r}"
        assert identity, "a distinct_id must not be empty"
        assert isinstance(text, bytes), f"properties must be bytes, not {type(text).__name__}"
        assert isinstance(_read(text), dict), f"properties must be one JSON object, not {text!r}"
        assert seen is None or (isinstance(seen, datetime) and seen.utcoffset() == timedelta(0)), (
            f"last_seen must be an aware datetime in UTC or None, not {seen!r}"
        )


def _read(text: bytes) -> Any:
    try:
        return json.loads(text.decode())
    except ValueError as error:
        raise AssertionError(f"properties must be JSON in UTF-8: {error}: {text!r}") from None


def _plain(batch: Batch) -> list[Any]:
    return [comparable(row) for row in sent_rows(batch)]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
