"""``mp``: output, exit codes, and one line for whatever is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from mixpanel_fetch import __version__
from mixpanel_fetch.simulator import Fault, SimulatorProcess

CONTRACT = [
    "table",
    "total_rows",
    "successful_pages",
    "failed_pages",
    "failed_page_indices",
    "duration_seconds",
    "fetched_at",
    "has_failures",
]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rows_of(table, file="mixpanel.duckdb"):
    with duckdb.connect(file, read_only=True) as connection:
        return connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]


def one_line(text):
    return text.count("\n") == 1 and text.endswith("\n") and "Traceback" not in text


def test_the_json_is_the_contracts(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(profiles=2500))
    done = mp("fetch", "profiles", "--parallel")
    document = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert list(document)[:8] == CONTRACT
    assert document["table"] == "profiles"
    assert (document["total_rows"], document["successful_pages"]) == (2500, 3)
    assert document["fetched_at"].endswith("Z")
    assert rows_of("profiles") == 2500


def test_text_says_what_happened_in_two_lines(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(profiles=2500))
    done = mp("fetch", "profiles", "users", "--format", "text")
    outcome, where = done.out.splitlines()
    assert outcome.startswith("Done: 2,500 profiles in table users, ")
    assert where == "  duckdb:///mixpanel.duckdb, 3 pages"


def test_append_of_the_same_again_changes_nothing(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(profiles=2500))
    assert mp("fetch", "profiles", "users", "-p").code == 0
    done = mp("fetch", "profiles", "users", "-p", "--append")
    assert (done.code, json.loads(done.out)["updated"]) == (0, 2500)
    assert rows_of("users") == 2500


def test_workers_are_capped_with_a_word_on_stderr(engage_simulator, environment_of, mp):
    simulator = engage_simulator(profiles=2000, page_size=100, gather=5)
    environment_of(simulator)
    done = mp("fetch", "profiles", "--parallel", "--workers", "50")
    assert done.code == 0
    assert simulator.stats.max_in_flight == 5
    assert "50" in done.err
    assert one_line(done.err)
    assert mp("fetch", "profiles", "q", "-p", "--workers", "50", "--quiet").err == ""


def test_pages_are_as_large_as_asked_for(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(profiles=4000, page_size=50))
    asked = mp("fetch", "profiles", "a", "-p", "--page-size", "400")
    assert json.loads(asked.out)["page_size"] == 400
    sized = ("--page-size", "auto", "--page-bytes", "200kB", "--max-inflight-bytes", "1000000")
    document = json.loads(mp("fetch", "profiles", "b", "-p", *sized).out)
    assert 250 < document["page_size"] < 400
    assert (rows_of("a"), rows_of("b")) == (4000, 4000)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--page-size", "0", "neither a whole number from 1 on nor auto"),
        ("--page-size", "big", "neither a whole number from 1 on nor auto"),
        ("--page-bytes", "0", "at least 1 byte"),
        ("--max-inflight-bytes", "lots", "write it like 300MB or 1GiB"),
    ],
)
def test_sizes_that_cannot_be_are_refused_in_one_line(mp, option, value, words):
    done = mp("fetch", "profiles", option, value)
    assert done.code == 3
    assert words in done.err
    assert one_line(done.err)


def test_the_switch_interval_is_put_back(engage_simulator, environment_of, mp):
    before = sys.getswitchinterval()
    environment_of(engage_simulator(profiles=10))
    assert mp("fetch", "profiles").code == 0
    assert sys.getswitchinterval() == before


def test_failed_pages_are_in_the_result_and_the_exit_code(engage_simulator, environment_of, mp):
    faults = [Fault(page, "404", times=None) for page in (3, 7)]
    environment_of(engage_simulator(profiles=1000, page_size=100, faults=faults))
    done = mp("fetch", "profiles", "users", "--parallel")
    document = json.loads(done.out)
    assert done.code == 1
    assert document["failed_page_indices"] == [3, 7]
    assert (document["successful_pages"], document["has_failures"]) == (8, True)
    assert rows_of("users") == 800
    text = mp("fetch", "profiles", "more", "--parallel", "--format", "text").out
    assert text.startswith("Incomplete: 800 profiles in table more; 2 of 10 pages are missing\n")
    assert "  pages 3, 7: " in text


def test_nothing_is_left_when_every_page_fails(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(faults=[Fault(None, "404", times=None)]))
    done = mp("fetch", "profiles", "users", "--parallel")
    assert done.code == 1
    assert json.loads(done.out)["error"]["type"] == "ServerError"
    assert one_line(done.err)
    assert list(Path().iterdir()) == []


def test_a_wrong_secret_exits_with_2_and_shows_nowhere(
    engage_simulator, environment_of, mp, monkeypatch
):
    environment_of(engage_simulator())
    monkeypatch.setenv("MP_SECRET", "hunter2-hunter2")
    done = mp("fetch", "profiles", "-p", "-vv")
    assert done.code == 2
    assert json.loads(done.out)["error"]["type"] == "AuthenticationError"
    assert "hunter2" not in done.out + done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["fetch", "profiles", "--no-such-option"],
        ["fetch", "profiles", "a", "b"],
        ["fetch", "profiles", "--workers", "0"],
        ["fetch", "profiles", "--workers", "many"],
        ["fetch", "profiles", "--where", ""],
        ["fetch", "profiles", "--cohort", "abc"],
        ["fetch", "profiles", "--output-properties", ""],
        ["fetch", "profiles", "--append", "--replace"],
        ["fetch", "profiles", "--append"],
        ["fetch", "profiles", "--to", "nosuch://x"],
        ["fetch", "profiles", "--to", "plain.duckdb"],
        ["fetch", "profiles", "--to", "duckdb:///x.duckdb?no_such=1"],
        ["fetch", "profiles", "--to", "duckdb:///x.duckdb?memory_limit"],
        ["fetch", "profiles", "--to", "duckdb:///no/such/folder/x.duckdb"],
        ["fetch", "profiles", "--to", "parquet:///x.parquet", "--append"],
        ["fetch", "profiles", "--strategy", "nosuch"],
        ["fetch", "profiles", "--transform", "nosuch"],
        ["fetch", "profiles", "--transform", "select"],
        ["fetch", "profiles", "--plugin", "nosuch.py"],
        ["fetch", "profiles", "-o", "key"],
        ["fetch", "profiles", "-o", "no_such=1"],
        ["fetch", "profiles", "--page-size", "0"],
        ["fetch", "profiles", "--batch-size", "-1"],
        ["fetch", "profiles", "--max-wait", "-1"],
        ["fetch", "profiles", "--format", "xml"],
        ["fetch", "profiles", "--account", "nobody"],
        ["fetch", "profiles", ""],
        ["fetch", "profiles", "bad\nname"],
        ["fetch", "profiles", "x" * 300],
        ["fetch", "nosuch"],
        ["nosuch"],
    ],
)
def test_bad_arguments_exit_with_3_one_line_and_no_request(
    engage_simulator, environment_of, mp, arguments
):
    simulator = engage_simulator()
    environment_of(simulator)
    done = mp(*arguments)
    assert done.code == 3
    assert one_line(done.err)
    assert "Traceback" not in done.out
    assert len(simulator.stats.requests) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MP_USERNAME", ""),
        ("MP_PROJECT_ID", "a-token"),
        ("MP_REGION", "mars"),
        ("MP_API_BASE_URL", "nonsense"),
        ("MP_CONFIG", "/no/such/file.toml"),
        ("MP_DESTINATION", "nonsense"),
    ],
)
def test_a_wrong_setting_exits_with_3(  # noqa: PLR0917
    engage_simulator, environment_of, mp, monkeypatch, name, value
):
    environment_of(engage_simulator())
    monkeypatch.setenv(name, value)
    done = mp("fetch", "profiles")
    assert done.code == 3
    assert one_line(done.err)
    assert "demo-secret" not in done.out + done.err


def test_a_refused_query_exits_with_3(engage_simulator, environment_of, mp):
    environment_of(engage_simulator())
    done = mp("fetch", "profiles", "--where", "properties[")
    assert done.code == 3
    assert json.loads(done.out)["error"]["type"] == "QueryError"


def test_an_existing_table_exits_with_3_and_names_the_ways_on(engage_simulator, environment_of, mp):
    simulator = engage_simulator()
    environment_of(simulator)
    assert mp("fetch", "profiles").code == 0
    simulator.reset_stats()
    done = mp("fetch", "profiles")
    assert done.code == 3
    assert "--append" in done.err
    assert "--replace" in done.err
    assert len(simulator.stats.requests) == 0


def test_a_project_secret_works_and_warns(engage_simulator, mp, monkeypatch):
    simulator = engage_simulator(api_secret="old-secret")
    monkeypatch.setenv("MP_API_SECRET", "old-secret")
    monkeypatch.setenv("MP_API_BASE_URL", simulator.base_url)
    done = mp("fetch", "profiles")
    assert done.code == 0
    assert "2027-03-03" in done.err
    assert "old-secret" not in done.out + done.err


def test_transforms_strategies_and_options_by_name(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(profiles=300, page_size=100))
    done = mp(
        "fetch", "profiles", "--to", "jsonl://out.jsonl", "--strategy", "gevent-pool",
        "-o", "limit=2", "--transform", "select:plan", "--transform", "rename:plan=tier",
    )  # fmt: skip
    assert done.code == 0
    lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert len(lines) == 300
    assert all(set(line) == {"distinct_id", "properties", "last_seen"} for line in lines)
    assert all(set(line["properties"]) <= {"tier"} for line in lines)


def test_a_plugin_from_a_file(engage_simulator, environment_of, mp):
    Path("my_plugin.py").write_text(
        "from mixpanel_fetch import TransformSpec, hookimpl\n"
        "@hookimpl\n"
        "def register_transforms():\n"
        "    return [TransformSpec('nothing', lambda argument: lambda batch: None)]\n"
    )
    environment_of(engage_simulator(profiles=300))
    done = mp("fetch", "profiles", "--plugin", "my_plugin.py", "--transform", "nothing")
    assert (done.code, json.loads(done.out)["rows_dropped"]) == (0, 300)
    listed = json.loads(mp("plugins", "list", "--json", "--plugin", "my_plugin.py").out)
    assert {"name": "nothing", "distribution": "my_plugin.py"}.items() <= next(
        row for row in listed if row["name"] == "nothing"
    ).items()


def test_a_plugin_may_add_a_command(mp, monkeypatch, tmp_path):
    package = tmp_path / "site"
    (package / "hello-1.0.dist-info").mkdir(parents=True)
    (package / "hello-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n"
    )
    (package / "hello-1.0.dist-info" / "entry_points.txt").write_text(
        "[mixpanel_fetch]\nhello = hello_plugin\n"
    )
    (package / "hello_plugin.py").write_text(
        "import click\n"
        "from mixpanel_fetch import hookimpl\n"
        "@hookimpl\n"
        "def register_commands(cli):\n"
        "    @cli.command()\n"
        "    def hello():\n"
        "        click.echo('hello from a plugin')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mixpanel_fetch.cli", "hello"],
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("hello from a plugin\n", "")


def test_plugins_list_shows_the_built_ins_as_anyones(mp):
    rows = json.loads(mp("plugins", "list", "--json").out)
    assert {(row["kind"], row["name"]) for row in rows} >= {
        ("sink", "duckdb"),
        ("sink", "jsonl"),
        ("sink", "parquet"),
        ("strategy", "gevent-pool"),
        ("strategy", "sequential"),
        ("transform", "select"),
        ("transform", "drop"),
        ("transform", "rename"),
    }
    assert {row["status"] for row in rows} == {"ok"}
    text = mp("plugins", "list").out
    assert text.splitlines()[0].split() == ["NAME", "KIND", "DISTRIBUTION", "VERSION", "STATUS"]


def test_rows_on_stdout_push_the_result_to_stderr(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(profiles=300))
    done = mp("fetch", "profiles", "--to", "jsonl://-", "--format", "json")
    assert len([json.loads(line) for line in done.out.splitlines()]) == 300
    assert json.loads(done.err)["total_rows"] == 300


def test_verbose_shows_each_retry(engage_simulator, environment_of, mp):
    environment_of(engage_simulator(faults=[Fault(0, "503")]))
    done = mp("fetch", "profiles", "-v")
    assert done.code == 0
    assert "page 0: Mixpanel failed with 503; trying again" in done.err
    assert mp("fetch", "profiles", "again").err == ""


def test_version_and_help_load_nothing_heavy():
    script = (
        "import sys\n"
        "from mixpanel_fetch.cli import run\n"
        "run([sys.argv[1]])\n"
        "heavy = {'duckdb', 'gevent', 'requests', 'marshmallow', 'pluggy', 'msgspec', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    for option in ("--version", "--help"):
        done = subprocess.run(
            [sys.executable, "-c", script, option], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]"
    assert (
        __version__
        in subprocess.run(
            [sys.executable, "-m", "mixpanel_fetch.cli", "--version"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )


def test_mp_alone_shows_the_help(mp):
    done = mp()
    assert done.code == 3
    assert "Commands:" in done.err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_within_a_second_with_the_result(environment_of, slowdown, number, code):
    faults = [Fault(page, "hang") for page in range(3, 10)]
    with SimulatorProcess(profiles=1000, page_size=100, faults=faults) as simulator:
        environment_of(simulator)
        process = subprocess.Popen(
            [
                sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles", "users", "-p",
                "--log-format", "json",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        landed = 0
        while landed < 3:
            landed += json.loads(process.stderr.readline())["event"] == "page"
        until = time.monotonic() + 20
        while simulator.stats.in_flight < 5 and time.monotonic() < until:
            time.sleep(0.05)
        sent = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        seconds = time.monotonic() - sent
    document = json.loads(out)
    assert process.returncode == code
    assert document["interrupted"] is True
    assert document["successful_pages"] == 3
    assert "Traceback" not in err
    # The promise is one second; the rest is the interpreter's exit.
    assert seconds < 2.5 * slowdown()


def test_a_reader_that_goes_away_is_no_traceback(environment_of):
    with SimulatorProcess(profiles=20_000) as simulator:
        environment_of(simulator)
        done = subprocess.run(
            f"{sys.executable} -m mixpanel_fetch.cli fetch profiles --to jsonl://- -p | head -1",
            shell=True,
            capture_output=True,
            text=True,
            check=False,
        )
    assert json.loads(done.stdout)["distinct_id"]
    assert "Traceback" not in done.stderr


@pytest.mark.no_cover  # long; shorter tests cover the same lines
def test_the_demo_needs_no_credentials(mp):
    done = mp("demo", "--latency", "0.02", "--format", "text")
    assert done.code == 0
    assert done.out.startswith("Done: 25,000 profiles in table profiles, ")
    assert "  duckdb:///mixpanel-demo.duckdb, 25 pages\n" in done.out
    assert done.err == ""
    assert "one page after the other" in done.out
    assert rows_of("profiles", "mixpanel-demo.duckdb") == 25_000
    document = json.loads(mp("demo", "--latency", "0").out)
    assert sum(row["n"] for row in document["answer"]) == 25_000
    assert document["sequential_seconds"] > 0


def test_the_demo_is_blind_to_settings(mp, monkeypatch):
    monkeypatch.setenv("MP_REGION", "mars")
    monkeypatch.setenv("MP_CONFIG", "/no/such/file")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert mp("demo", "--latency", "0").code == 0


def test_the_simulator_command_prints_settings_that_work():
    process = subprocess.Popen(
        [
            sys.executable, "-m", "mixpanel_fetch.cli", "simulator", "--profiles", "50",
            "--fault", "0:503", "--tls", "--seconds", "60",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    lines = [process.stdout.readline().removeprefix("export ").split() for _ in range(3)]
    settings = dict(pair.split("=", 1) for line in lines for pair in line)
    done = subprocess.run(
        [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles"],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert json.loads(done.stdout)["total_rows"] == 50
    assert json.loads(done.stdout)["retries"] == 1


@pytest.mark.parametrize("fault", ["x:503", "3", "3:nosuch", "3:503:x"])
def test_a_fault_that_is_none_is_refused(mp, fault):
    done = mp("simulator", "--fault", fault, "--seconds", "0")
    assert done.code == 3
    assert one_line(done.err)


def test_a_bug_is_one_line_and_the_traceback_comes_with_vv(
    engage_simulator, environment_of, mp, monkeypatch
):
    environment_of(engage_simulator())
    monkeypatch.setattr("mixpanel_fetch.cli.fetching.show_result", lambda *_, **__: 1 / 0)
    done = mp("fetch", "profiles")
    assert done.code == 1
    assert one_line(done.err)
    assert "ZeroDivisionError" in done.err
    assert "Traceback" in mp("fetch", "profiles", "again", "-vv").err
