"""``mp plugins show``, ``new`` and ``check``; test_generated_plugins runs what ``new`` writes."""

from __future__ import annotations

import configparser
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from mixpanel_fetch import hookspecs
from mixpanel_fetch.cli.plugins.check import _lines
from mixpanel_fetch.cli.plugins.kit_request import KitRequest, load_reader
from mixpanel_fetch.cli.plugins.kit_suite import sink_case, transform_case
from mixpanel_fetch.cli.plugins.options import described
from mixpanel_fetch.cli.plugins.rendering import rendered
from mixpanel_fetch.cli.plugins.show import CAPABILITIES
from mixpanel_fetch.errors import ConfigError

KINDS = ("sink", "transform", "strategy")

LINES = """
import json
from pathlib import Path
from datetime import datetime
from marshmallow import Schema, fields
from mixpanel_fetch import BaseEngine, BaseLoad, SinkSpec, TableExistsError, hookimpl

class Options(Schema):
    password = fields.String(load_default="hunter2")

class Lines(BaseEngine, BaseLoad):
    def __init__(self, location, password):
        self.path = Path(location)

    def begin(self, table, mode, run):
        if self.path.exists():
            raise TableExistsError(f"{self.path} exists")
        self.rows = []
        return self

    def write(self, page_index, batch):
        self.rows += batch.rows()
        return len(batch)

    def commit(self):
        self.path.write_text(json.dumps(self.rows, default=str))

def read_rows(destination, table):
    path = Path(destination.removeprefix("lines:///"))
    if not path.exists():
        return None
    rows = json.loads(path.read_text())
    for row in rows:
        row["last_seen"] = row["last_seen"] and datetime.fromisoformat(row["last_seen"])
    return rows

@hookimpl
def register_sinks():
    return [SinkSpec("lines", Lines, Options)]
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a module as a distribution, for this process."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def install(name, code, version="1.0"):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[mixpanel_fetch]\n{name} = {name}_module\n")
        (site / f"{name}_module.py").write_text(code)

    return install


def plugin_file(text, name="plugin.py"):
    Path(name).write_text(text)
    return name


def one_line(text):
    return text.count("\n") == 1 and text.endswith("\n") and "Traceback" not in text


# show


def test_a_sink_is_shown_with_what_it_can_do(mp):
    done = mp("plugins", "show", "duckdb")
    assert (done.code, done.err) == (0, "")
    first, *lines = done.out.splitlines()
    assert first == "duckdb, a sink: a table in a DuckDB file, written atomically and resumable"
    assert lines[0].split()[:2] == ["from", "mixpanel-fetch"]
    assert "  written       --to duckdb://LOCATION" in lines
    assert any(line.endswith("resume: an interrupted run can go on") for line in lines)
    assert any(line.endswith("threads: whole number, at least 1") for line in lines)


def test_every_capability_has_its_words():
    assert set(CAPABILITIES) == hookspecs.CAPABILITIES


def test_a_transform_and_a_strategy_are_shown_as_they_are_written(mp):
    (transform,) = json.loads(mp("plugins", "show", "drop", "--json").out)
    assert transform["written"] == ["--transform drop", "--transform drop:ARGUMENT"]
    assert (transform["options"], transform["other_options"]) == ([], False)
    (strategy,) = json.loads(mp("plugins", "show", "gevent-pool", "--json").out)
    assert strategy["written"] == ["--strategy gevent-pool"]
    (limit,) = strategy["options"]
    assert limit == {
        "name": "limit",
        "type": "whole number",
        "required": False,
        "default": 5,
        "limits": ["at least 1"],
        "secret": False,
        "description": "the most pages asked for at once, whatever number of workers is wanted",
    }
    assert mp("plugins", "show", "drop").out.splitlines()[-1] == "  options       none"


def test_a_destination_that_is_pasted_whole_means_its_sink(mp):
    done = mp("plugins", "show", "duckdb://me:hunter2@host/x")
    assert (done.code, "hunter2" in done.out) == (0, False)


def test_options_are_told_from_any_schema():
    from enum import Enum

    from marshmallow import INCLUDE, Schema, fields, validate

    class Level(Enum):
        LOW = "l"
        HIGH = "h"

    class Mine(fields.Integer):
        pass

    class Options(Schema):
        """``first`` and ``second``: told of together. ``third``: told of alone."""

        class Meta:
            unknown = INCLUDE

        first = fields.Integer(validate=validate.Range(1, 5), load_default=3)
        second = Mine(validate=validate.Range(min=0, min_inclusive=False))
        third = fields.Float(required=True)
        text = fields.String(validate=validate.OneOf(["a", "b"]), load_default="a")
        flag = fields.Boolean(load_default=True, metadata={"description": "what it is for"})
        names = fields.List(fields.String(validate=validate.Length(min=1)))
        level = fields.Enum(Level, load_default=Level.LOW)
        by_value = fields.Enum(Level, by_value=True)
        where = fields.Url(data_key="where-to")
        size = fields.String(validate=validate.And(validate.Length(2, 4), validate.Regexp("^x")))
        even = fields.Integer(validate=lambda value: value % 2 == 0)
        when = fields.DateTime(load_default=lambda: None)
        anything = fields.Raw()

    told = {one["name"]: one for one in described(Options)}
    facts = {name: (one["type"], one["default"], one["limits"]) for name, one in told.items()}
    assert facts == {
        "first": ("whole number", 3, ["from 1 to 5"]),
        "second": ("whole number", None, ["above 0"]),
        "third": ("number", None, []),
        "text": ("text", "a", ["one of a, b"]),
        "flag": ("true or false", True, []),
        "names": ("list of text, each of length 1 or more", None, []),
        "level": ("one of LOW, HIGH", "LOW", []),
        "by_value": ("one of l, h", None, []),
        "where-to": ("URL", None, []),
        "size": ("text", None, ["of length 2 or more", "of length 4 or less", "must match ^x"]),
        "even": ("whole number", None, ["further checked"]),
        "when": ("date and time", "computed", []),
        "anything": ("value", None, []),
    }
    assert [name for name, one in told.items() if one["required"]] == ["third"]
    assert {name: one["description"] for name, one in told.items() if one["description"]} == {
        "first": "told of together",
        "second": "told of together",
        "third": "told of alone",
        "flag": "what it is for",
    }


def test_a_secret_option_shows_no_value(mp):
    from marshmallow import Schema, fields, validate

    from mixpanel_fetch import Secret

    class Options(Schema):
        api_key = fields.String(load_default="hunter2", validate=validate.OneOf(["hunter2"]))
        salt = fields.String(load_default="hunter2", metadata={"secret": True})
        pepper = fields.Raw(load_default=Secret("hunter2"))
        dsn = fields.String(load_default="postgresql://me:hunter2@host/db")

    told = described(Options)
    assert [one["secret"] for one in told] == [True, True, True, False]
    assert "hunter2" not in repr(told)
    done = mp("plugins", "show", "lines", "--plugin", plugin_file(LINES))
    assert "password: text, default ***" in done.out
    assert "hunter2" not in done.out


def test_a_name_of_two_kinds_shows_both(mp):
    file = plugin_file(
        "from mixpanel_fetch import SinkSpec, TransformSpec, hookimpl\n"
        "@hookimpl\n"
        "def register_sinks():\n"
        "    return [SinkSpec('both', print)]\n"
        "@hookimpl\n"
        "def register_transforms():\n"
        "    return [TransformSpec('both', print)]\n"
    )
    shown = json.loads(mp("plugins", "show", "both", "--json", "--plugin", file).out)
    assert [one["kind"] for one in shown] == ["sink", "transform"]
    text = mp("plugins", "show", "both", "--plugin", file, "--kind", "sink").out
    assert text.startswith("both, a sink\n")
    assert "none: it makes new tables only" in text
    asked = mp("plugins", "check", "both", "--plugin", file, "--json")
    assert (asked.code, "say which with --kind" in asked.err) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dukdb"], "no plugin is called 'dukdb'; did you mean duckdb?"),
        (["DuckDB"], "did you mean duckdb?"),
        (["nothing-like-it"], "`mp plugins list` shows all"),
        (["drop", "--kind", "sink"], "there is a transform of that name"),
    ],
)
def test_an_unknown_name_is_one_line_with_near_misses(mp, arguments, words):
    done = mp("plugins", "show", *arguments)
    assert done.code == 3
    assert words in done.err
    assert one_line(done.err)


def test_a_broken_plugin_shows_its_reason(mp, installed):
    installed("rotten", "import no_such_module_at_all\n", "2.1")
    done = mp("plugins", "show", "rotten")
    assert done.code == 0
    assert done.out.splitlines()[0].startswith("rotten, a plugin that cannot be loaded: ")
    assert "no_such_module_at_all" in done.out
    assert "rotten 2.1" in done.out
    (shown,) = json.loads(mp("plugins", "show", "rotten", "--json").out)
    assert (shown["status"], shown["kind"]) == ("broken", "plugin")
    asked = mp("plugins", "check", "rotten")
    assert (asked.code, "cannot be loaded" in asked.err) == (3, True)


def test_a_name_that_two_distributions_claim_shows_both(mp, installed):
    for name in ("first", "second"):
        installed(name, LINES)
    done = mp("plugins", "show", "lines")
    assert done.out.count("claimed       by another distribution, too") == 2
    assert "first 1.0" in done.out
    assert "second 1.0" in done.out


# new


@pytest.mark.parametrize("kind", KINDS)
def test_new_writes_a_whole_distribution(mp, kind):
    done = mp("plugins", "new", kind, "say-hello")
    assert (done.code, done.err) == (0, "")
    folder = Path("mixpanel-fetch-say-hello")
    assert done.out.startswith(f"{folder}: the {kind} say-hello, with its tests.")
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        ".github/workflows/test.yml",
        ".gitignore",
        "LICENSE",
        "README.md",
        "mixpanel_fetch_say_hello.py",
        "pyproject.toml",
        "setup.cfg",
        "tests/test_say_hello.py",
    }
    setup = configparser.ConfigParser()
    setup.read(folder / "setup.cfg")
    assert setup["metadata"]["name"] == "mixpanel-fetch-say-hello"
    entry = setup["options.entry_points"]["mixpanel_fetch"].strip()
    assert entry == "say-hello = mixpanel_fetch_say_hello"
    assert "pytest" in setup["options.extras_require"]["test"]
    project = (folder / "pyproject.toml").read_text().splitlines()
    assert len(project) == 3
    assert [path.name for path in Path().iterdir()] == [folder.name]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x", "a-name-of-thirty-characters-xx", "class"])
def test_nothing_of_the_template_is_left(kind, name):
    for path, text in rendered(kind, name).items():
        assert "@NAME@" not in text
        assert text.endswith("\n")
        if path.endswith(".py"):
            compile(text, path, "exec")
            assert max(map(len, text.splitlines())) <= 88


@pytest.mark.parametrize(
    "name",
    ["", "Upper", "snake_case", "1st", "-a", "a-", "a--b", "a.b", "a b", "a/b", "é", "a" * 31],
)
def test_a_name_that_cannot_be_is_refused(mp, name):
    done = mp("plugins", "new", "sink", "--", name)
    assert done.code == 3
    assert one_line(done.err)
    assert list(Path().iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(mp):
    Path("mixpanel-fetch-hello").mkdir()
    done = mp("plugins", "new", "sink", "hello")
    assert (done.code, "is there already" in done.err) == (3, True)
    assert list(Path("mixpanel-fetch-hello").iterdir()) == []


def test_into_names_the_folder_around_it(mp):
    Path("there").mkdir()
    assert mp("plugins", "new", "transform", "hello", "--into", "there").code == 0
    assert Path("there/mixpanel-fetch-hello/setup.cfg").is_file()
    done = mp("plugins", "new", "transform", "hello", "--into", "elsewhere")
    assert (done.code, "there is no folder elsewhere" in done.err) == (3, True)
    assert not Path("elsewhere").exists()


def test_nothing_is_left_of_a_folder_that_could_not_be_written(mp, monkeypatch):
    written, write_text = [], Path.write_text

    def full(path, text, **options):
        written.append(path)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        return write_text(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    done = mp("plugins", "new", "sink", "hello")
    assert (done.code, "No space left on device" in done.err) == (3, True)
    assert len(written) == 4
    assert list(Path().iterdir()) == []


def test_a_name_that_is_taken_is_warned_of(mp):
    done = mp("plugins", "new", "transform", "drop")
    assert done.code == 0
    assert done.err.startswith("mp: warning: mixpanel-fetch ")
    assert "has a transform drop already" in done.err
    assert mp("plugins", "new", "sink", "select").err == ""


# check


def test_a_sink_is_checked_by_reading_its_rows_back(mp):
    file = plugin_file(LINES)
    done = mp("plugins", "check", "lines", "--plugin", file, "--rows", f"{file}:read_rows")
    assert done.code == 0, done.out
    assert done.out.startswith("the sink lines (plugin.py)\n  passed   3")
    assert "the sink does not claim resume" in done.out
    assert "FAILED" not in done.out
    assert "was not checked" not in done.out


def test_what_a_sink_does_not_keep_is_said_in_the_kits_words(mp):
    file = plugin_file(
        LINES.replace("len(batch)", "1")
        .replace("raise TableExistsError", "print")
        .replace(
            "    def begin(", "    def __repr__(self):\n        return 'hunter22'\n\n    def begin("
        )
    )
    reader, secret = ("--rows", f"{file}:read_rows"), ("-o", "password=hunter22")
    done = mp("plugins", "check", "lines", "--plugin", file, *reader, *secret, "--json")
    document = json.loads(done.out)
    assert (done.code, document["rows_read_back"]) == (1, True)
    words = {one["words"]: one["tests"] for one in document["failed"]}
    assert "write must return the rows landed: 2 for page 0, not 1" in words
    failed = [test for tests in words.values() for test in tests]
    assert "test_create_refuses_a_table_that_is_there" in failed
    text = "\n".join(_lines(document, "the sink lines"))
    assert "\n  FAILED   1: write must return the rows landed" in text
    assert "must not show a secret of the destination" in text
    assert "hunter22" not in done.out + done.err


def test_without_a_reader_what_was_not_checked_is_said(mp):
    done = mp("plugins", "check", "lines", "--plugin", plugin_file(LINES), "--json")
    document = json.loads(done.out)
    assert (done.code, document["failed"]) == (0, [])
    assert document["passed"] > 0
    assert document["skipped"]["the rows cannot be read back without --rows"] > 10
    assert document["rows_read_back"] is False
    (*_, last) = _lines(document, "the sink lines")
    assert last.startswith("  Whether it stores what it is given was not checked")


def test_a_destination_without_tmp_is_used_as_it_is_with_new_tables(tmp_path):
    plugin_file(LINES)
    for uri, new in (("lines:///{tmp}/profiles", False), ("lines:///store", True)):
        asked = KitRequest("sink", "lines", files=("plugin.py",), destination=uri)
        one, other = (sink_case(asked, tmp_path) for _ in range(2))
        assert one.destination == uri.replace("{tmp}", str(tmp_path))
        assert (one.table != other.table, one.table.startswith("mp_check_")) == (new, new)
    with pytest.raises(pytest.skip.Exception, match="without --rows"):
        one.rows("profiles")


def test_a_transform_is_checked_with_its_argument_whatever_is_around(mp, monkeypatch):
    Path("pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    Path("conftest.py").write_text("raise SystemExit('not mine')\n")
    Path("mixpanel_fetch").mkdir()
    Path("mixpanel_fetch/__init__.py").write_text("raise SystemExit('not mine')\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    done = mp("plugins", "check", "drop:$email")
    assert (done.code, "FAILED" in done.out) == (0, False)
    without = mp("plugins", "check", "drop")
    assert (without.code, "needs the names of properties" in without.err) == (3, True)


def test_every_change_on_purpose_reaches_the_kit():
    asked = KitRequest("transform", "rename", "a=b", changes=("ids", "values", "last-seen"))
    case = transform_case(asked)
    assert (case.transform, case.spec.name) == ("rename:a=b", "rename")
    assert (case.changes_ids, case.changes_values, case.changes_last_seen) == (True, True, True)


def test_what_a_transform_changes_on_purpose_can_be_said(mp):
    plain, told = (
        mp("plugins", "check", "rename:a=b", "--json", *more)
        for more in ((), ("--changes", "values"))
    )
    assert (plain.code, told.code) == (1, 0)
    (failure,) = json.loads(plain.out)["failed"]
    assert failure["tests"] == ["test_values_keep_what_they_are"]


def test_a_strategy_is_checked_with_its_options(mp):
    document = json.loads(mp("plugins", "check", "gevent-pool", "-o", "limit=2", "--json").out)
    assert (document["failed"], document["skipped"]) == ([], {})
    assert document["passed"] > 10
    wrong = mp("plugins", "check", "gevent-pool", "-o", "limit=none")
    assert (wrong.code, "limit: not a valid integer" in wrong.err.lower()) == (3, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dukdb"], "did you mean duckdb?"),
        (["drop:a", "--to", "duckdb:///x"], "--to is for a sink, and this is a transform"),
        (["duckdb:x"], "an argument is for a transform, and this is a sink"),
        (["duckdb", "--changes", "ids"], "--changes is for a transform"),
        (["duckdb", "--to", "jsonl:///x"], "--to must begin with duckdb://"),
        (["duckdb", "--rows", "no_colon"], "write --rows MODULE:FUNCTION or FILE.py:FUNCTION"),
        (["duckdb", "--rows", "missing.py:rows"], "cannot load missing.py of --rows"),
        (["duckdb", "--rows", "no_such_module_x:rows"], "cannot load no_such_module_x of --rows"),
        (["duckdb", "--rows", "json:no_function"], "there is no function 'no_function' in json"),
        (["duckdb", "-o", "no_such=1"], "no_such: unknown field"),
    ],
)
def test_what_cannot_be_checked_is_one_line(mp, arguments, words):
    done = mp("plugins", "check", *arguments)
    assert done.code == 3
    assert words in done.err.replace("Unknown", "unknown")
    assert one_line(done.err)


def test_without_pytest_one_line_says_what_to_install(mp, monkeypatch):
    find_spec = importlib.util.find_spec

    def without_pytest(name, *more):
        return None if name == "pytest" else find_spec(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", without_pytest)
    done = mp("plugins", "check", "drop:a")
    assert (done.code, "pip install pytest" in done.err) == (3, True)
    assert one_line(done.err)


def test_a_kit_that_does_not_end_is_an_error(mp):
    file = plugin_file(LINES.replace("self.rows = []", "import os; os._exit(9)"))
    done = mp("plugins", "check", "lines", "--plugin", file)
    assert (done.code, "the kit did not come to its end" in done.err) == (1, True)
    assert one_line(done.err)


def test_a_request_comes_out_of_its_file_as_it_went_in(tmp_path):
    request = KitRequest("sink", "x", None, ("a.py",), {"k": "v"}, "x:///{tmp}", "m:f", ("ids",))
    request.save(tmp_path / "request.json")
    assert KitRequest.load(tmp_path / "request.json") == request


def test_secrets_are_those_of_uri_and_options():
    request = KitRequest(
        "sink",
        "x",
        options={"token": "a-token", "schema": "public"},
        destination="x://me:pass-word@host/db?password=another&key=abc",
    )
    assert sorted(request.secrets) == ["a-token", "another", "pass-word"]
    assert "a-token" not in repr(request)
    assert KitRequest("strategy", "x", options={"token": "a-token"}).secrets == ()


def test_a_reader_comes_from_a_module_or_a_file(tmp_path):
    assert load_reader("json:loads") is json.loads
    (tmp_path / "mine.py").write_text("def rows(destination, table):\n    return [table]\n")
    assert load_reader(f"{tmp_path}/mine.py:rows")("x://", "t") == ["t"]
    with pytest.raises(ConfigError, match="no function"):
        load_reader(f"{tmp_path}/mine.py:other")


def test_a_readers_file_may_import_what_lies_beside_it(tmp_path):
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "beside_it.py").write_text("def rows(destination, table):\n    return [table]\n")
    (folder / "mine.py").write_text("from beside_it import rows\n")
    assert load_reader(f"{folder}/mine.py:rows")("x://", "t") == ["t"]
    (tmp_path / "in_this_folder.py").write_text("def rows(destination, table):\n    return []\n")
    assert load_reader("in_this_folder:rows")("x://", "t") == []
