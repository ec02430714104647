"""The result for people: how it ended, what is not as it should be, the command that goes on."""

from __future__ import annotations

import shlex
from datetime import datetime, timezone

import click
import pytest

from mixpanel_fetch.cli.app import app
from mixpanel_fetch.cli.fetch import profiles
from mixpanel_fetch.cli.next_step import next_step
from mixpanel_fetch.cli.report import result_lines, wrapped
from mixpanel_fetch.cli.resume_command import resume_command
from mixpanel_fetch.errors import AuthenticationError, PluginError, ServerError
from mixpanel_fetch.model import PageFailure
from mixpanel_fetch.result import FetchResult
from mixpanel_fetch.simulator import Fault


def result(**changes):
    given = {
        "table": "users",
        "total_rows": 25_000,
        "successful_pages": 25,
        "total_pages": 25,
        "rows_received": 25_000,
        "duration_seconds": 2.53,
        "fetched_at": datetime(2026, 11, 25, tzinfo=timezone.utc),
        "destination": "duckdb:///x.duckdb",
        **changes,
    }
    if "failed_page_indices" in given:
        given["failed_pages"] = len(given["failed_page_indices"])
        given["successful_pages"] = given["total_pages"] - given["failed_pages"]
    return FetchResult(**given)


def failed(*pages, error=None, stage="fetch"):
    error = error or ServerError("Mixpanel failed with 503 (tried 4 times)")
    return tuple(PageFailure(page, stage, error, 4) for page in pages)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        (
            {},
            ["Done: 25,000 profiles in table users, 2.5 s", "  duckdb:///x.duckdb, 25 pages"],
        ),
        (
            {"mode": "append", "inserted": 200, "updated": 24_800, "retries": 3},
            [
                "Done: 25,000 profiles in table users, 2.5 s",
                "  duckdb:///x.duckdb, 25 pages, 200 new, 24,800 updated",
                "  repeated requests: 3",
            ],
        ),
        (
            {"failed_page_indices": (3, 7), "failures": failed(3, 7), "total_rows": 23_000},
            [
                "Incomplete: 23,000 profiles in table users; 2 of 25 pages are missing",
                "  duckdb:///x.duckdb, 23 of 25 pages, 2.5 s",
                "  pages 3, 7: Mixpanel failed with 503 (tried 4 times)",
            ],
        ),
        (
            {"failed_page_indices": (3,), "failures": failed(3), "published": False},
            [
                "Not published: 1 of 25 pages is missing; table users was not changed",
                "  duckdb:///x.duckdb, 24 of 25 pages, 2.5 s",
                "  page 3: Mixpanel failed with 503 (tried 4 times)",
            ],
        ),
        (
            {"missing_rows": 10, "total_rows": 24_990},
            [
                "Incomplete: 24,990 profiles in table users; 10 were announced and never sent",
                "  duckdb:///x.duckdb, 25 pages, 2.5 s",
                "  announced, but in no page: 10",
            ],
        ),
        (
            {"missing_rows": 10, "allowed_missing": 10, "total_pages": 1},
            [
                "Done: 25,000 profiles in table users, 2.5 s",
                "  duckdb:///x.duckdb, 1 page",
                "  announced, but in no page: 10",
            ],
        ),
        (
            {"rejected_rows": 2},
            [
                "Incomplete: 25,000 profiles in table users; 2 have no usable id",
                "  duckdb:///x.duckdb, 25 pages, 2.5 s",
                "  rejected for want of a usable id: 2",
            ],
        ),
        (
            {"interrupted": True, "published": False, "resumable": True}
            | {"failed_page_indices": tuple(range(5, 25))},
            [
                "Interrupted: 5 of 25 pages are kept; table users was not changed",
                "  duckdb:///x.duckdb, 5 of 25 pages, 2.5 s",
            ],
        ),
        (
            {"published": False, "total_pages": 1, "rows_received": 0, "total_rows": 0},
            [
                "Not published: it came empty; table users was not changed",
                "  duckdb:///x.duckdb, 1 page, 2.5 s",
                "  no profile matches: check the region, the data view (MP_WORKSPACE_ID),"
                " the filter",
            ],
        ),
    ],
)
def test_a_result_in_plain_words(changes, lines):
    assert result_lines(result(**changes)) == lines


def test_failures_with_one_reason_share_a_line_and_long_lists_end():
    pages = tuple(range(1, 21))
    lines = result_lines(result(failed_page_indices=pages, failures=failed(*pages)))
    assert lines[2].startswith("  pages 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 10 more: Mixpanel failed")
    assert len(lines) == 3


def test_many_reasons_are_counted_and_pages_never_asked_for_too():
    failures = sum((failed(n, error=ServerError(f"reason {n}")) for n in range(8)), ())
    lines = result_lines(result(failed_page_indices=tuple(range(12)), failures=failures))
    assert lines[-2:] == [
        "  and 3 other reasons, all in the JSON result",
        "  4 pages were not asked for",
    ]


def test_a_transform_that_failed_is_named_as_one():
    failures = failed(3, error=PluginError("the transform x failed: KeyError"), stage="transform")
    (line,) = result_lines(result(failed_page_indices=(3,), failures=failures))[2:]
    assert line == "  page 3: transform failed: the transform x failed: KeyError"


def test_refused_credentials_stand_in_the_result():
    failures = failed(3, error=AuthenticationError("Mixpanel refused the credentials"))
    lines = result_lines(result(failed_page_indices=(3, 4), failures=failures))
    assert "  page 3: Mixpanel refused the credentials" in lines
    assert "  1 page was not asked for" in lines


@pytest.mark.parametrize("width", [40, 60, 80, None])
def test_lines_wrap_under_their_beginning_and_words_stay_whole(width):
    line = "  page 3: a reason that takes its time and names https://example.com/" + "x" * 40
    pieces = wrapped(line, width)
    assert " ".join(piece.strip() for piece in pieces) == line.strip()
    assert all(piece.startswith("    ") for piece in pieces[1:])
    if width is None:
        assert len(pieces) == 1


# The command that goes on


def command_of(*arguments):
    """Return the resume command of a command line."""
    parent = click.Context(app, info_name="mp")
    fetch = click.Context(app.get_command(parent, "fetch"), info_name="fetch", parent=parent)
    return resume_command(profiles.make_context("profiles", list(arguments), parent=fetch))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], "mp fetch profiles --resume"),
        (["users", "-p", "--replace"], "mp fetch profiles users --parallel --resume"),
        (["--append", "--resume", "--dry-run"], "mp fetch profiles --resume"),
        (
            [
                "users",
                "--where",
                'properties["plan"] == "it\'s"',
                "--to",
                "duckdb:///my file.duckdb",
            ],
            'mp fetch profiles users --where \'properties["plan"] == "it\'"\'"\'s"\''
            " --to 'duckdb:///my file.duckdb' --resume",
        ),
        (
            [
                "--transform",
                "drop:$email",
                "--transform",
                "select:plan",
                "--no-shared-quota",
                "-vv",
            ],
            "mp fetch profiles --transform 'drop:$email' --transform select:plan"
            " --no-shared-quota -vv --resume",
        ),
        (
            ["--page-size", "auto", "--where=-1"],
            "mp fetch profiles --where=-1 --page-size auto --resume",
        ),
        (
            ["--max-inflight-bytes=64MiB", "--page-size", "0500"],
            "mp fetch profiles --page-size 0500 --max-inflight-bytes 64MiB --resume",
        ),
        (["--", "-odd"], "mp fetch profiles --resume -- -odd"),
    ],
)
def test_the_command_is_rebuilt_from_what_was_given(given, expected):
    command = command_of(*given)
    assert (command.text, command.masked) == (expected, False)


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["users", "-p", "--where", "a b"],
        ["--", "-odd"],
        ["--where=-1", "--page-size", "300", "--max-inflight-bytes", "1MiB", "-o", "limit=2"],
    ],
)
def test_the_command_means_the_same_when_it_is_given_again(given):
    again = shlex.split(command_of(*given).text)[3:]
    assert command_of(*again).text == command_of(*given).text


def test_secrets_are_masked_and_that_is_said(monkeypatch):
    command = command_of("--to", "postgresql://me:hunter2@host/db", "-o", "password=hunter3")
    assert "hunter" not in command.text
    assert "***" in command.text
    assert command.masked


def test_what_comes_next_is_told_where_the_destination_can_be_asked():
    assert next_step("users", "duckdb:///x.duckdb", None) == (
        "Next: mp inspect users  or  mp sql 'SELECT * FROM users LIMIT 5'"
    )
    assert next_step("my table", "duckdb:///x.duckdb", "duckdb:///x.duckdb") == (
        "Next: mp inspect 'my table' --to duckdb:///x.duckdb"
    )
    assert next_step("users", "jsonl:///x.jsonl", None) is None
    assert next_step("users", "nosuch:///x", None) is None


# In a real command


def test_the_printed_command_goes_on_with_the_run(
    engage_simulator, environment_of, mp, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    simulator = engage_simulator(profiles=1000, page_size=100, faults=[Fault(7, "404", times=None)])
    environment_of(simulator)
    where = ["--to", "duckdb:///my profiles.duckdb", "--output-properties", "$email,plan"]
    done = mp("fetch", "profiles", "users", "-p", "--replace", "--format", "text", *where)
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[-2] == "To go on from here:"
    simulator.reset_stats()
    simulator.set_faults([])
    done = mp(*shlex.split(lines[-1])[1:])
    assert (done.code, done.out.splitlines()[0].partition(",")[0]) == (0, "Done: 1")
    assert len(simulator.stats.requests) == 1


def test_a_text_result_on_no_terminal_has_no_style_and_no_hint(
    engage_simulator, environment_of, mp, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    environment_of(engage_simulator(profiles=10))
    out = mp("fetch", "profiles", "--format", "text").out
    assert "\x1b" not in out
    assert "Next:" not in out
