from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import mixpanel_fetch_example
import pytest
from marshmallow import ValidationError
from mixpanel_fetch_example import (
    CsvEngine,
    CsvLoad,
    EveryOther,
    EveryOtherOptions,
    keep_fraction,
    register_sinks,
    register_strategies,
    register_transforms,
)

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError, TableExistsError
from mixpanel_fetch.model import Page, PageFailure
from mixpanel_fetch.testing import (
    Row,
    SinkCase,
    SinkTests,
    StrategyCase,
    StrategyTests,
    TransformCase,
    TransformTests,
)

SEEN = datetime(2026, 1, 31, tzinfo=timezone.utc)


# The conformance kits: what mixpanel-fetch asks of every sink, transform and strategy. `spec` is
# for a plugin that need not be installed to be tested.


def rows_of(path: Path) -> list[Row] | None:
    """Return what is in a CSV file, None where there is none."""
    if not path.exists():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {
                "distinct_id": row["distinct_id"],
                "properties": json.loads(row["properties"]),
                "last_seen": datetime.fromisoformat(row["last_seen"]) if row["last_seen"] else None,
            }
            for row in csv.DictReader(file)
        ]


def without_nul(row: dict[str, Any]) -> Row:
    """Return a row as a CSV file can hold it: the kit is told where a store differs, and why."""
    return {**row, "distinct_id": row["distinct_id"].replace("\0", "\ufffd")}


class TestCsv(SinkTests):
    @pytest.fixture
    def case(self, tmp_path: Path) -> SinkCase:
        return SinkCase(
            f"example-csv:///{tmp_path}/profiles.csv",
            spec=register_sinks()[0],
            rows=lambda table: rows_of(tmp_path / "profiles.csv"),
            stored=without_nul,
            unusable=f"example-csv:///{tmp_path}/no-such-directory/profiles.csv",
        )


class TestKeepFraction(TransformTests):
    @pytest.fixture(params=["0", "0.5", "1"])
    def case(self, request: pytest.FixtureRequest) -> TransformCase:
        return TransformCase(f"keep-fraction:{request.param}", spec=register_transforms()[0])


class TestEveryOther(StrategyTests):
    @pytest.fixture(params=["false", "true"])
    def case(self, request: pytest.FixtureRequest) -> StrategyCase:
        options = {"odd_first": request.param}
        return StrategyCase("every-other", spec=register_strategies()[0], options=options)


# What is the example's own


def test_a_fetch_with_all_three(run_fetch: Callable[..., Any], tmp_path: Path) -> None:
    result = run_fetch(
        f"example-csv:///{tmp_path}/profiles.csv",
        profiles=90,
        plugins=[mixpanel_fetch_example],
        strategy="every-other",
        transforms=["keep-fraction:0.5"],
        page_size=10,
    )
    assert result.exit_code == 0
    assert 0 < result.total_rows < 90
    rows = rows_of(tmp_path / "profiles.csv")
    assert rows is not None
    assert len(rows) == result.total_rows


def test_the_file_is_csv_with_a_header(tmp_path: Path) -> None:
    load = CsvLoad(tmp_path / "profiles.csv")
    load.write(1, Batch(["a,1", 'b "2"'], [b'{"x":1.10}', b"{}"], [SEEN, None]))
    load.commit()
    assert (tmp_path / "profiles.csv").read_text().splitlines() == [
        "distinct_id,properties,last_seen",
        '"a,1","{""x"":1.10}",2026-01-31T00:00:00+00:00',
        '"b ""2""",{},',
    ]


def test_a_percent_encoded_path_is_taken(tmp_path: Path) -> None:
    (tmp_path / "pro files.csv").touch()
    with pytest.raises(TableExistsError):
        CsvEngine(f"{tmp_path}/pro%20files.csv").check("profiles", "create")


def test_the_same_share_of_profiles_is_kept_each_time() -> None:
    ids = [f"user-{number}" for number in range(4000)]
    batch = Batch(ids, [b'{"a":1}'] * 4000, [SEEN] * 4000)
    kept, again = (keep_fraction("0.25")(batch) for _ in range(2))
    assert kept is not None
    assert kept == again
    assert 800 < len(kept) < 1200
    assert kept.distinct_ids == [one for one in ids if one in set(kept.distinct_ids)]
    assert len(batch) == 4000


def test_all_or_none_can_be_kept() -> None:
    batch = Batch(["a", "b"], [b"{}", b"{}"], [SEEN, None])
    assert keep_fraction("1")(batch) == batch
    assert keep_fraction("0")(batch) == Batch()


@pytest.mark.parametrize("argument", [None, "", "half", "-0.1", "1.5", "nan"])
def test_a_fraction_that_is_none_is_refused(argument: str | None) -> None:
    with pytest.raises(ConfigError, match="from 0 to 1"):
        keep_fraction(argument)


class Source:
    total_pages = 6

    def attempt(self, index: int) -> Page | PageFailure:
        return Page(index, Batch(), rows_received=0)

    def fetch(self, index: int) -> Page:
        raise NotImplementedError

    def portable(self) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("options", "order"), [({}, [2, 4, 1, 3, 5]), ({"odd_first": "true"}, [1, 3, 5, 2, 4])]
)
def test_every_other_page_comes_first(options: dict[str, str], order: list[int]) -> None:
    strategy = EveryOther(max_workers=3, **EveryOtherOptions().load(options))
    assert [outcome.index for outcome in strategy.run(Source(), range(1, 6))] == order


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValidationError):
        EveryOtherOptions().load({"even_first": "true"})


def test_each_kind_is_registered_by_name() -> None:
    [sink], [transform], [strategy] = (
        list(register_sinks()),
        list(register_transforms()),
        list(register_strategies()),
    )
    assert (sink.name, sink.capabilities) == ("example-csv", frozenset())
    assert (transform.name, transform.factory) == ("keep-fraction", keep_fraction)
    assert (strategy.name, strategy.options) == ("every-other", EveryOtherOptions)
