"""What a Workspace makes of tables that are there: columns and reports."""

from __future__ import annotations

import json

import pytest

from mixpanel_fetch import ConfigError, DriftError, TableNotFoundError
from mixpanel_fetch.typed_columns import NULL_TEXTS


def person(name, **properties):
    return {"$distinct_id": name, "$properties": properties}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def simulator(engage_simulator):
    return engage_simulator(profiles=[person("a", plan="pro", age=7), person("b", plan="<null>")])


@pytest.fixture
def workspace(simulator, workspace_of):
    workspace = workspace_of(simulator, "duckdb:///x.duckdb")
    workspace.fetch_profiles("users")
    return workspace


def test_properties_become_columns_and_the_mapping_is_kept(workspace, tmp_path):
    report = workspace.keep_columns("users", null_texts=NULL_TEXTS)
    assert (report.view, bool(report.drift)) == ("users_columns", False)
    assert [(one.property, one.type) for one in report.columns] == [
        ("age", "integer"),
        ("plan", "text"),
    ]
    rows = workspace.sql("SELECT distinct_id, age, plan FROM users_columns ORDER BY 1").rows
    assert rows == [("a", 7, "pro"), ("b", None, None)]
    assert json.loads((tmp_path / "users.columns.json").read_text())


def test_drift_is_reported_refused_or_followed(workspace, simulator):
    keep = {"schema": "mine.json", "view": "people"}
    workspace.keep_columns("users", **keep)
    simulator.set_profiles([person("a", plan="pro", age=7, city="Bern")])
    workspace.fetch_profiles("users", mode="replace")
    told = workspace.keep_columns("users", **keep)
    assert (told.drift.new, told.evolved) == (("city",), False)
    with pytest.raises(DriftError, match="city"):
        workspace.keep_columns("users", on_drift="fail", **keep)
    assert workspace.keep_columns("users", on_drift="evolve", **keep).evolved
    assert workspace.sql("SELECT city FROM people").rows == [("Bern",)]


def test_columns_of_what_is_not_there(workspace, workspace_of, simulator):
    with pytest.raises(TableNotFoundError):
        workspace.keep_columns("nobody")
    with pytest.raises(ConfigError, match="on_drift"):
        workspace.keep_columns("users", on_drift="panic")
    with pytest.raises(ConfigError, match="cannot show properties as columns"):
        workspace_of(simulator, "jsonl:///x.jsonl").keep_columns("users")


def test_a_report_is_written_and_replaces_none_but_a_report(workspace, tmp_path):
    path = workspace.report("users")
    assert path == tmp_path / "users-report.html"
    page = path.read_text(encoding="utf-8")
    assert "users" in page
    assert "plan" in page
    assert workspace.report("users", path) == path
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="no report"):
        workspace.report("users", "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert workspace.report("users", "notes.txt", force=True).read_text().startswith("<!")


def test_a_report_of_what_is_not_there_leaves_no_file(workspace, tmp_path):
    with pytest.raises(TableNotFoundError):
        workspace.report("nobody", tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
