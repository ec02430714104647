"""``mp tables``, ``mp sql`` and ``mp inspect``, on files as a fetch leaves them."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import duckdb
import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.cli.answering import distinct
from mixpanel_fetch.cli.grid import fitted, grid
from mixpanel_fetch.cli.inspection import coverage
from mixpanel_fetch.cli.values import json_text
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.model import ProfileQuery, RunInfo

SEEN = datetime(2026, 1, 31, 12, 30, 45, 678901, tzinfo=timezone.utc)
MP = (sys.executable, "-m", "mixpanel_fetch.cli")
ROWS = [
    {"distinct_id": "a", "properties": {"plan": "free", "n": 1}, "last_seen": SEEN},
    {"distinct_id": "b", "properties": {"plan": "pro", "n": "2"}, "last_seen": None},
    {"distinct_id": "c", "properties": {"plan": "free", "evil": "\x1b[31m\r\n"}},
]


def land(path, rows, table="profiles"):
    run = RunInfo(
        run_id="run-1",
        table=table,
        mode="create",
        query=ProfileQuery(),
        session_id="session-1",
        total=len(rows),
        page_size=1000,
        total_pages=1,
        transforms=(),
        fingerprint={},
        started_at=SEEN,
        destination="duckdb:///r.db",
    )
    engine = DuckDBEngine(path)
    load = engine.begin(table, "create", run)
    load.write(0, Batch.from_rows(rows))
    load.commit()
    engine.close()


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "r.db"
    land(path, ROWS)
    monkeypatch.setenv("MP_DESTINATION", f"duckdb:///{path}")
    return path


def on_a_terminal(*arguments, columns=80, **environment):
    """Return what ``mp`` shows on a terminal of ``columns``, as lines."""
    ours, theirs = pty.openpty()
    plain = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS", "LINES"}}
    env = {**plain, "TERM": "xterm", "COLUMNS": str(columns), **environment}
    with subprocess.Popen([*MP, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env):
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    return shown.decode().replace("\r\n", "\n").splitlines()


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed
        return b""


# mp tables


def test_tables_are_listed(file, mp):
    told = mp("tables")
    assert (told.code, told.err) == (0, "")
    assert json.loads(told.out) == [
        {
            "name": "profiles",
            "rows": 3,
            "columns": [
                {"name": "distinct_id", "type": "VARCHAR"},
                {"name": "properties", "type": "JSON"},
                {"name": "last_seen", "type": "TIMESTAMP"},
            ],
            "holds_profiles": True,
        }
    ]
    assert mp("tables", "--format", "text").out.splitlines() == [
        "NAME      ROWS  COLUMNS",
        "profiles     3  distinct_id, properties, last_seen",
    ]


def test_no_tables_yet_says_what_makes_one(tmp_path, mp):
    duckdb.connect(str(tmp_path / "empty.db")).close()
    uri = f"duckdb:///{tmp_path}/empty.db"
    told = mp("tables", "--to", uri, "--format", "text")
    assert told.out == f"no tables in {uri} yet; `mp fetch profiles` makes one\n"
    assert json.loads(mp("tables", "--to", uri).out) == []


@pytest.mark.parametrize("arguments", [["tables"], ["sql", "SELECT 1"], ["inspect", "profiles"]])
class TestEveryCommand:
    def test_a_destination_that_is_not_there_is_one_line(self, tmp_path, mp, arguments):
        told = mp(*arguments, "--to", f"duckdb:///{tmp_path}/none.db", "--format", "json")
        assert told.code == 3
        assert json.loads(told.out)["error"]["type"] == "ConfigError"
        assert told.err.count("\n") == 1
        assert "`mp fetch profiles` makes it" in told.err
        assert not any(tmp_path.iterdir())

    def test_a_sink_that_cannot_be_queried_says_what_can(self, tmp_path, mp, arguments):
        told = mp(*arguments, "--to", f"parquet:///{tmp_path}/out.parquet")
        assert told.code == 3
        assert "cannot be queried; duckdb can, and" in told.err
        assert "read_parquet('FILE')" in told.err
        assert told.err.count("\n") == 1


def test_runs_still_refuse_a_sink_that_keeps_none(tmp_path, mp):
    told = mp("runs", "--to", f"jsonl:///{tmp_path}/out.jsonl")
    assert (told.code, "keeps no runs" in told.err) == (3, True)


# mp sql


def test_rows_are_json_with_their_own_digits(file, mp):
    told = mp(
        "sql",
        "SELECT distinct_id, properties, last_seen, 0.10 AS n, 1 AS n, 'nan'::DOUBLE AS f,"
        " 170141183460469231731687303715884105727 AS big, '\\xC3\\xA9'::BLOB AS b, NULL AS nothing,"
        " [1, NULL] AS l, {'a': DATE '2026-01-02'} AS s FROM profiles WHERE distinct_id = 'a'",
    )
    assert (told.code, told.err) == (0, "")
    assert '"n": 0.10, "n_1": 1' in told.out
    assert json.loads(told.out) == [
        {
            "distinct_id": "a",
            "properties": {"plan": "free", "n": 1},
            "last_seen": "2026-01-31T12:30:45.678901",
            "n": 0.1,
            "n_1": 1,
            "f": None,
            "big": 2**127 - 1,
            "b": "w6k=",
            "nothing": None,
            "l": [1, None],
            "s": {"a": "2026-01-02"},
        }
    ]
    assert json.loads(mp("sql", "SELECT 1 WHERE false").out) == []


def test_rows_are_csv(file, mp):
    statement = """SELECT distinct_id AS "a,b", 'say "hi"' || chr(10) AS t, NULL AS n, true AS y,
        [1, 2] AS l, 0.10 AS d, last_seen FROM profiles ORDER BY 1 LIMIT 2"""
    told = mp("sql", statement, "--format", "csv")
    assert told.code == 0
    assert told.out.startswith('"a,b",t,n,y,l,d,last_seen\r\na,"say ""hi""\n",,true,"[1,2]",0.10,')
    assert list(csv.reader(io.StringIO(told.out, newline="")))[1:] == [
        ["a", 'say "hi"\n', "", "true", "[1,2]", "0.10", "2026-01-31T12:30:45.678901"],
        ["b", 'say "hi"\n', "", "true", "[1,2]", "0.10", ""],
    ]


def test_a_table_shows_the_first_rows_and_says_that_there_are_more(file, mp):
    told = mp("sql", "SELECT i AS n, 'x' AS t FROM range(9, 12) r(i)", "--format", "table")
    assert told.out.splitlines() == [" n  t", " 9  x", "10  x", "11  x"]
    told = mp("sql", "FROM range(1000000000)", "--format", "table", "--limit", "2")
    assert told.out.splitlines() == ["range", "    0", "    1"]
    assert told.err == "mp: the first 2 rows, and there are more; see --limit\n"
    told = mp("sql", "SELECT 1 AS n WHERE false", "--format", "table")
    assert (told.out, told.err) == ("n\n", "mp: no rows\n")


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_the_statement_may_come_on_stdin(file, mp, monkeypatch, arguments):
    monkeypatch.setattr(sys, "stdin", io.StringIO("SELECT count(*) AS n\nFROM profiles -- all\n"))
    assert json.loads(mp("sql", *arguments).out) == [{"n": 3}]


def test_a_statement_is_asked_for_on_a_terminal(file):
    assert on_a_terminal("sql") == ["mp: give a QUERY, or pipe one in (see `mp sql --help`)"]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("SELECT * FROM profile", 'mp: Table with name profile does not exist; Did you mean "prof'),
        ("DROP TABLE profiles", "mp: DROP does more than read"),
        ("SELECT properties::INT FROM profiles", "mp: "),
    ],
)
@pytest.mark.parametrize("form", ["json", "csv", "table"])
def test_a_query_that_fails_leaves_no_rows(file, mp, statement, words, form):
    told = mp("sql", statement, "--format", form)
    assert told.code == 3
    assert told.err.startswith(words)
    assert told.err.count("\n") == 1
    assert ("error" in json.loads(told.out)) if form == "json" else told.out == ""


@pytest.mark.no_cover  # long; shorter tests cover the same lines
def test_a_query_that_fails_among_its_rows_says_so_beside_them(file, mp):
    statement = (
        "SELECT CASE WHEN i < 900000 THEN i ELSE error('late') END AS n FROM range(1e6) t(i)"
    )
    told = mp("sql", statement.replace("1e6", "1000000"))
    assert (told.code, told.err) == (3, "mp: late\n")
    assert "error" not in told.out


def test_a_reader_that_goes_away_ends_the_query_quietly(file):
    with subprocess.Popen(
        [*MP, "sql", "FROM range(100000000000)", "--format", "csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"range\r\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


@pytest.mark.parametrize(
    "arguments",
    [
        ["sql", "SELECT count(*) FROM range(1000000) a, range(1000000000) b WHERE a + b = 7"],
        ["sql", "FROM range(1000000000000)", "--format", "csv"],
    ],
)
def test_ctrl_c_ends_a_query(file, tmp_path, arguments):
    waiting = tmp_path / "out"
    with (
        waiting.open("wb") as out,
        subprocess.Popen([*MP, *arguments], stdout=out, stderr=subprocess.PIPE) as process,
    ):
        while not _is_asking(process.pid):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().split() == [b"mp:", b"interrupted"]


def _is_asking(pid):
    """Whether a command has the thread that asks its destination."""
    return len(list(Path(f"/proc/{pid}/task").iterdir())) > 1


def test_what_a_terminal_would_obey_is_shown_as_text(file):
    lines = on_a_terminal("sql", "SELECT chr(27) || '[31m' || chr(10) AS t, '王' AS w")
    assert [line.removesuffix("\x1b[0m").removeprefix("\x1b[1m") for line in lines] == [
        "t           w",
        "\\x1b[31m\\n  王",
    ]


# mp inspect


def test_inspect_tells_each_property(file, mp):
    told = mp("inspect", "profiles", "--top", "1")
    assert (told.code, told.err) == (0, "")
    document = json.loads(told.out)
    assert [one["name"] for one in document["properties"]] == ["plan", "n", "evil"]
    assert document["properties"][1] == {
        "name": "n",
        "present": 2,
        "coverage": 0.666667,
        "types": {"string": 1, "number": 1},
        "conflict": True,
        "distinct": 2,
        "distinct_is_exact": True,
        "top": [{"value": '"2"', "rows": 1}],
    }
    assert document["days"] == [{"day": "2026-01-31", "rows": 1}]
    assert (document["table"], document["rows"], document["never_seen"]) == ("profiles", 3, 2)


def test_inspect_for_people(file, mp):
    assert mp("inspect", "profiles", "--format", "text").out.splitlines() == [
        "profiles: 3 rows, 3 properties",
        "last_seen on 2026-01-31, 2 rows without one",
        "",
        "PROPERTY  COVERAGE  TYPES                 DISTINCT  EXAMPLES",
        'plan          100%  string                       2  "free", "pro"',
        'n            66.7%  ! string 1, number 1         2  "2", 1',
        'evil         33.3%  string                       1  "\\u001B[31m\\r\\n"',
        "",
        "! 1 property holds more than one type: n",
    ]


def test_inspect_of_one_property_counts_its_values(file, mp):
    told = mp("inspect", "profiles", "--property", "plan", "--property", "n", "--format", "text")
    assert told.out.splitlines() == [
        "plan",
        "  in 3 of 3 rows (100%)",
        "  string 3",
        "  2 different values",
        "    ROWS  VALUE",
        '       2  "free"',
        '       1  "pro"',
        "",
        "n",
        "  in 2 of 3 rows (66.7%)",
        "  ! string 1, number 1",
        "  2 different values",
        "    ROWS  VALUE",
        '       1  "2"',
        "       1  1",
    ]
    told = mp("inspect", "profiles", "--property", "plans")
    assert (told.code, "did you mean plan?" in told.err) == (3, True)


def test_inspect_of_properties_like_a_pattern(file, mp):
    found = json.loads(mp("inspect", "profiles", "--match", "P*").out)["properties"]
    assert [one["name"] for one in found] == ["plan"]
    told = mp("inspect", "profiles", "--match", "x*", "--format", "text")
    assert told.out.splitlines()[-1] == "no property has such a name"


def test_a_missing_table_says_which_there_are(file, mp):
    told = mp("inspect", "profile")
    assert told.code == 3
    assert "there is no table profile; did you mean profiles?" in told.err


@pytest.fixture
def many(tmp_path, monkeypatch):
    properties = {f"property number {i:04d}": "王" * (i % 60) for i in range(2000)}
    land(tmp_path / "many.db", [{"distinct_id": "a", "properties": {"always": 1, **properties}}])
    monkeypatch.setenv("MP_DESTINATION", f"duckdb:///{tmp_path}/many.db")


@pytest.mark.parametrize("columns", [30, 50, 80, 120])
def test_two_thousand_properties_fit_a_terminal(many, columns):
    from rich.cells import cell_len

    lines = on_a_terminal("inspect", "profiles", columns=columns, NO_COLOR="1")
    assert max(map(cell_len, lines)) <= columns
    assert sum("100%" in line for line in lines) == 50
    assert "and 1,951 more:" in " ".join(lines)
    assert ("EXAMPLES" in " ".join(lines)) == (columns >= 60)


def test_everything_is_shown_where_no_line_has_an_end(many, mp):
    whole = mp("inspect", "profiles", "--format", "text").out.splitlines()
    assert sum("100%" in line for line in whole) == 2001
    assert "…" not in "".join(whole)
    assert on_a_terminal("inspect", "profiles", TERM="dumb") == whole
    assert sum("100%" in line for line in on_a_terminal("inspect", "profiles", "--all")) == 2001


# The pieces


@pytest.mark.parametrize(
    ("widths", "room", "result"),
    [
        ([3, 5], 80, [3, 5]),
        ([10, 100, 100], 70, [10, 30, 30]),
        ([10, 100, 100], 71, [10, 31, 30]),
        ([10, 10], 5, [4, 4]),
        ([2, 50], 20, [2, 18]),
    ],
)
def test_the_widest_columns_give_way(widths, room, result):
    assert fitted(widths, room) == result


def test_wide_characters_are_cut_where_they_fit():
    assert grid(["A", "B"], [["王王王王", "x"], ["ab", "y"]], width=8) == [
        "A      B",
        "王王…  x",
        "ab     y",
    ]


@pytest.mark.parametrize(
    ("present", "rows", "shown"),
    [(0, 9, "0%"), (9, 9, "100%"), (9999, 10000, "99.9%"), (1, 10000, "<0.1%"), (1, 3, "33.3%")],
)
def test_only_all_is_a_hundred_percent(present, rows, shown):
    assert coverage(present, rows) == shown


def test_columns_of_one_name_are_told_apart():
    assert distinct(["n", "n", "n_1", "n"]) == ["n", "n_2", "n_1", "n_3"]


def test_values_without_a_word_in_json_are_text():
    value = [float("inf"), b"\xff", SEEN, {1: "a\u2028"}, (True, None)]
    assert json.loads(json_text(value)) == [
        None,
        "/w==",
        "2026-01-31T12:30:45.678901+00:00",
        {"1": "a\u2028"},
        [True, None],
    ]
