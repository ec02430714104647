from __future__ import annotations

import csv
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from marshmallow import ValidationError
from mixpanel_fetch_example import (
    CsvEngine,
    EveryOther,
    EveryOtherOptions,
    keep_fraction,
    register_sinks,
    register_strategies,
    register_transforms,
)

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError, TableExistsError
from mixpanel_fetch.model import Page, PageFailure, ProfileQuery, RunInfo

SEEN = datetime(2026, 1, 31, tzinfo=timezone.utc)
RUN = RunInfo(
    run_id="r1",
    table="profiles",
    mode="create",
    query=ProfileQuery(),
    session_id="s",
    total=2,
    page_size=1000,
    total_pages=1,
    transforms=(),
    fingerprint={},
    started_at=SEEN,
    destination="example-csv://profiles.csv",
)


def test_rows_are_in_the_file_after_commit(tmp_path: Path) -> None:
    path = tmp_path / "profiles.csv"
    engine = CsvEngine(str(path))
    engine.check("profiles", "create")
    load = engine.begin("profiles", "create", RUN)
    assert load.write(1, Batch(["a,1", 'b "2"'], [b'{"x":1.10}', b"{}"], [SEEN, None])) == 2
    assert load.write(0, Batch()) == 0
    assert not path.exists()
    load.commit()
    engine.close()
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["distinct_id", "properties", "last_seen"],
            ["a,1", '{"x":1.10}', "2026-01-31T00:00:00+00:00"],
            ['b "2"', "{}", ""],
        ]


def test_an_aborted_load_leaves_nothing(tmp_path: Path) -> None:
    load = CsvEngine(str(tmp_path / "profiles.csv")).begin("profiles", "create", RUN)
    load.write(0, Batch(["a"], [b"{}"], [None]))
    load.suspend()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pro files.csv"
    path.touch()
    with pytest.raises(TableExistsError):
        CsvEngine(f"{tmp_path}/pro%20files.csv").check("profiles", "create")
    with pytest.raises(ConfigError, match="no directory"):
        CsvEngine(str(tmp_path / "none" / "profiles.csv")).check("profiles", "create")


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
