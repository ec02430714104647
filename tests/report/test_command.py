"""``mp report``: from a DuckDB file to a page in a file."""

from __future__ import annotations

import json
import os
import re

import pytest

from mixpanel_fetch.report.file import default_name
from mixpanel_fetch.simulator import Fault


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def fetched(engage_simulator, workspace_of):
    """Fetch into table ``profiles`` of ``mixpanel.duckdb``."""

    def fetch(profiles=120, destination="duckdb:///mixpanel.duckdb", **simulated):
        simulator = engage_simulator(profiles=profiles, **{"page_size": 50, **simulated})
        with workspace_of(simulator, destination) as workspace:
            return workspace.fetch_profiles("profiles", progress=False)

    return fetch


def one_line(text):
    return text.count("\n") == 1 and text.endswith("\n") and "Traceback" not in text


def test_a_report_of_a_fetch_tells_what_it_brought(fetched, mp, tmp_path):
    fetched()
    done = mp("report", "profiles", "--format", "text")
    assert (done.code, done.err) == (0, "")
    told = re.fullmatch(
        r"profiles-report\.html: 120 rows, ([\d,]+) properties, (\d+) kB\n", done.out
    )
    assert told
    page = (tmp_path / "profiles-report.html").read_text(encoding="utf-8")
    assert page.count('<tr><th scope="row">$email</th>') == 1
    assert '<span class="status complete">complete</span>' in page
    assert "duckdb:///mixpanel.duckdb" in page
    assert 'class="notice"' not in page
    assert round(len(page.encode()) / 1000) == int(told[2])


def test_json_says_where_the_report_is_and_what_is_in_it(fetched, mp, tmp_path):
    fetched()
    done = mp("report", "profiles", "-o", "r.html")
    document = json.loads(done.out)
    assert document["path"] == str(tmp_path / "r.html")
    assert document["bytes"] == (tmp_path / "r.html").stat().st_size
    assert document["table"] == "profiles"
    assert document["destination"] == "duckdb:///mixpanel.duckdb"
    assert document["rows"] == 120
    assert document["properties"] > 10


def test_pages_that_are_missing_are_told_at_the_top(fetched, mp, tmp_path):
    assert fetched(faults=[Fault(page=1, kind="503", times=None)]).failed_page_indices == (1,)
    assert mp("report", "profiles").code == 0
    page = (tmp_path / "profiles-report.html").read_text(encoding="utf-8")
    assert "1 of 3 pages did not land (numbered from 0: 1)" in page


def test_top_says_how_many_values_of_each_property(fetched, mp, tmp_path):
    fetched()
    lengths = []
    for top in (1, 3):
        mp("report", "profiles", "--top", top, "-o", "r.html")
        page = (tmp_path / "r.html").read_text(encoding="utf-8")
        row = re.search(r'<th scope="row">\$first_name</th>.*', page)[0]
        lengths.append(row.count("<li>"))
    assert lengths == [1, 3]


def test_a_dash_writes_the_page_and_nothing_else_to_stdout(fetched, mp, tmp_path):
    fetched()
    done = mp("report", "profiles", "-o", "-")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("<!doctype html>\n")
    assert done.out.endswith("</html>\n")
    assert [path.name for path in tmp_path.iterdir()] == ["mixpanel.duckdb"]


def test_what_goes_wrong_does_not_stand_where_the_page_would(mp):
    done = mp("report", "profiles", "-o", "-", "--format", "json")
    assert (done.code, done.out) == (3, "")
    assert one_line(done.err)


def test_an_earlier_report_is_replaced_with_its_permissions_and_through_its_link(
    fetched, mp, tmp_path
):
    fetched()
    kept, link = tmp_path / "kept.html", tmp_path / "link.html"
    mp("report", "profiles", "-o", kept)
    kept.chmod(0o640)
    kept.write_bytes(kept.read_bytes()[:2_000])
    link.symlink_to(kept)
    assert mp("report", "profiles", "-o", link).code == 0
    assert link.is_symlink()
    assert kept.read_text(encoding="utf-8").endswith("</html>")
    assert kept.stat().st_mode & 0o777 == 0o640
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"mixpanel.duckdb", "kept.html", "link.html"}


def test_any_other_file_stays_unless_forced(fetched, mp, tmp_path):
    fetched()
    notes = tmp_path / "notes.html"
    notes.write_text("<h1>mine</h1>", encoding="utf-8")
    done = mp("report", "profiles", "-o", "notes.html", "--format", "text")
    assert (done.code, done.out) == (3, "")
    assert done.err == f"mp: {notes} is there and no report; --force replaces it\n"
    assert notes.read_text(encoding="utf-8") == "<h1>mine</h1>"
    assert mp("report", "profiles", "-o", "notes.html", "--force").code == 0
    assert notes.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_an_empty_file_may_be_filled(fetched, mp, tmp_path):
    fetched()
    (tmp_path / "r.html").touch()
    assert mp("report", "profiles", "-o", "r.html").code == 0


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (".", "is a directory; name a file in it"),
        ("/dev/null", "is not a regular file; -o - writes to stdout"),
        ("nowhere/r.html", "there is no directory"),
        ("loop.html", "cannot write loop.html: "),
        ("mixpanel.duckdb", "is there and no report"),
        ("r\udcff.html", ""),
    ],
)
def test_what_cannot_be_a_report_is_refused_in_a_line(target, words, fetched, mp, tmp_path):
    fetched()
    (tmp_path / "loop.html").symlink_to("loop.html")
    done = mp("report", "profiles", "-o", target, "--format", "text")
    if not words:  # a name that is not UTF-8 is as good as any other
        assert done.code == 0
        return
    assert (done.code, done.out) == (3, "")
    assert words in done.err
    assert one_line(done.err)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused_in_a_line(mp, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    done = mp("report", "profiles", "-o", "closed/r.html", "--format", "text")
    assert done.code == 3
    assert "no permission in" in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["profils"], "no table profils; did you mean profiles?"),
        (["profiles", "--to", "duckdb:///other.duckdb"], "other.duckdb"),
        (["profiles", "--to", "jsonl:///x.jsonl"], "cannot be queried"),
        (["profiles", "--top", "0"], "--top"),
        ([], "TABLE"),
    ],
)
def test_what_cannot_be_reported_on_is_a_line_and_makes_no_file(
    arguments, words, fetched, mp, tmp_path
):
    fetched()
    done = mp("report", *arguments, "--format", "text")
    assert (done.code, done.out) == (3, "")
    assert words in done.err
    assert one_line(done.err)
    assert [path.name for path in tmp_path.iterdir()] == ["mixpanel.duckdb"]


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("profiles", "profiles-report.html"),
        ("sales.users", "sales.users-report.html"),
        ("../../etc/passwd", "etc-passwd-report.html"),
        ("Zürich 2026", "Zürich-2026-report.html"),
        ("///", "table-report.html"),
        ("x" * 300, f"{'x' * 60}-report.html"),
    ],
)
def test_the_default_file_is_named_for_the_table(table, name):
    assert default_name(table) == name
