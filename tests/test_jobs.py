"""``mp sync``: jobs in a file, run when they are due, and what becomes of each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from mixpanel_fetch import ConfigError, JobsBusyError, ProfileQuery, SyncWish
from mixpanel_fetch.jobrun import only_run, standing_of
from mixpanel_fetch.jobs import chosen_jobs, read_jobs
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.simulator.synthetic import SyntheticProfiles

KEY = "-1405123841946871899"
PEOPLE = SyntheticProfiles(300)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def accounts(tmp_path, monkeypatch):
    """Write a configuration file with an account for each simulator, by name."""

    def write(**simulators):
        text = ""
        for name, simulator in simulators.items():
            text += (
                f'[accounts.{name}]\nusername = "demo"\nsecret = "demo-secret"\n'
                f"project_id = {simulator.config.project_id}\n"
                f'api_base_url = "{simulator.base_url}"\n'
                f"[accounts.{name}.groups]\ncompany = {KEY}\n"
            )
        text += '[accounts.refused]\nusername = "demo"\nsecret = "wrong"\nproject_id = 12345\n'
        text += f'api_base_url = "{next(iter(simulators.values())).base_url}"\n'
        path = tmp_path / "config.toml"
        path.write_text(text)
        path.chmod(0o600)
        monkeypatch.setenv("MP_CONFIG", str(path))

    return write


@pytest.fixture
def jobs_file(tmp_path):
    def write(text):
        path = tmp_path / "jobs.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def simulator(engage_simulator, accounts):
    running = engage_simulator(
        profiles=300,
        page_size=100,
        groups={KEY: [{"$distinct_id": "acme", "$properties": {}}]},
        cohorts={7: ["a", "b"]},
    )
    accounts(one=running)
    return running


def outcomes(done):
    document = json.loads(done.out)
    assert document["exit_code"] == done.code
    return {one["job"]: one for one in document["jobs"]}


def statuses(done):
    return {name: one["status"] for name, one in outcomes(done).items()}


def count(table, file="mixpanel.duckdb"):
    with duckdb.connect(file, read_only=True) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


# Running


def test_what_is_due_runs_once(simulator, jobs_file, mp):
    jobs_file(
        '[defaults]\naccount = "one"\nparallel = true\n'
        '[jobs.users]\nevery = "6h"\n'
        '[jobs.always]\ntable = "each_time"\nwhere = \'properties["plan"] == "nobody"\'\n'
        "allow_empty = true\n"
    )
    assert statuses(mp("sync", "--dry-run")) == {"users": "due", "always": "due"}
    assert simulator.stats.requests == ()
    assert not Path("mixpanel.duckdb").exists()
    assert statuses(mp("sync", "jobs.toml")) == {"users": "done", "always": "done"}
    assert (count("users"), count("each_time")) == (300, 0)
    again = outcomes(mp("sync", "jobs.toml"))
    assert (again["users"]["status"], again["always"]["status"]) == ("not due", "done")
    last, due = (
        datetime.strptime(again["users"][name], "%Y-%m-%dT%H:%M:%SZ")
        for name in ("last_run", "due_at")
    )
    assert due - last == timedelta(hours=6)
    forced = outcomes(mp("sync", "jobs.toml", "--force", "--only", "users"))
    assert [(one["status"], one["result"]["total_rows"]) for one in forced.values()] == [
        ("done", 300)
    ]


def test_a_job_is_due_again_after_its_time_and_a_moment_before(simulator, jobs_file, mp):
    path = jobs_file('[jobs.users]\naccount = "one"\nevery = "6h"\n')
    assert mp("sync", path).code == 0
    (job,) = read_jobs(path)
    now = datetime.now(timezone.utc)
    assert standing_of(job, now + timedelta(hours=5)).status == "not due"
    assert standing_of(job, now + timedelta(hours=5, minutes=57)).status == "due"
    assert standing_of(job, now + timedelta(days=9)).status == "due"


def test_a_job_that_fails_keeps_no_other_from_running(simulator, jobs_file, mp):
    jobs_file(
        '[jobs.refused]\naccount = "refused"\n'
        '[jobs.nobody]\naccount = "nobody"\n'
        '[jobs.users]\naccount = "one"\n'
    )
    done = mp("sync")
    assert done.code == 3
    found = outcomes(done)
    assert [(one["status"], one["exit_code"]) for one in found.values()] == [
        ("failed", 2),
        ("failed", 3),
        ("done", 0),
    ]
    assert (found["refused"]["error"], found["nobody"]["error"]) == (
        "AuthenticationError",
        "ConfigError",
    )
    text = mp("sync", "--format", "text", "--only", "refused", "--only", "users")
    assert text.code == 2
    first, second = text.out.splitlines()
    assert first.startswith("refused: failed: Mixpanel refused the credentials")
    assert second.startswith("users: done: 300 rows; ")
    assert "demo-secret" not in text.out + text.err + done.out + done.err


def test_an_incomplete_job_is_due_the_next_time(engage_simulator, accounts, jobs_file, mp):
    simulator = engage_simulator(profiles=300, page_size=100, faults=[Fault(1, "400", times=None)])
    accounts(one=simulator)
    jobs_file('[jobs.users]\naccount = "one"\nevery = "6h"\n')
    found = outcomes(mp("sync"))["users"]
    assert (found["status"], found["exit_code"]) == ("incomplete", 1)
    assert "1 of 3 pages are missing; the table was left as it was" in found["message"]
    standing = outcomes(mp("sync", "--dry-run"))["users"]
    assert (standing["status"], "suspended" in standing["message"]) == ("due", True)
    simulator.set_faults([])
    assert statuses(mp("sync")) == {"users": "done"}


def test_an_interrupted_run_goes_on_unless_the_job_has_changed(
    engage_simulator, accounts, jobs_file, mp
):
    simulator = engage_simulator(profiles=300, page_size=100, faults=[Fault(1, "400", times=None)])
    accounts(one=simulator)
    text = '[jobs.users]\naccount = "one"\n'
    jobs_file(text)
    assert mp("sync").code == 1
    simulator.reset_stats()
    assert mp("sync").code == 1
    assert [one.page for one in simulator.stats.requests] == [1]
    simulator.set_faults([])
    simulator.reset_stats()
    jobs_file(f"{text}where = 'true'\n")
    assert statuses(mp("sync")) == {"users": "done"}
    assert [one.page for one in simulator.stats.requests] == [0, 1, 2]


def test_an_interrupted_run_that_is_old_does_not_go_on(engage_simulator, accounts, jobs_file, mp):
    simulator = engage_simulator(profiles=300, page_size=100, faults=[Fault(1, "400", times=None)])
    accounts(one=simulator)
    jobs_file('[jobs.users]\naccount = "one"\n')
    assert mp("sync").code == 1
    with duckdb.connect("mixpanel.duckdb") as connection:
        ((schema,),) = connection.execute(
            "SELECT table_schema FROM information_schema.tables WHERE table_name = 'runs'"
        ).fetchall()
        connection.execute(f'UPDATE "{schema}".runs SET started_at = started_at - INTERVAL 25 HOUR')
    simulator.set_faults([])
    simulator.reset_stats()
    assert statuses(mp("sync")) == {"users": "done"}
    assert [one.page for one in simulator.stats.requests] == [0, 1, 2]


def test_a_run_that_was_not_to_be_published_is_asked_for_anew(simulator, jobs_file, mp):
    jobs_file('[jobs.users]\naccount = "one"\nfull = true\n')
    assert mp("sync").code == 0
    simulator.set_profiles(PEOPLE[:100])
    found = outcomes(mp("sync"))["users"]
    assert (found["exit_code"], "left as it was" in found["message"]) == (1, True)
    simulator.set_profiles(PEOPLE[:290])
    assert outcomes(mp("sync"))["users"]["result"]["gone"] == 10


def test_two_projects_go_to_two_destinations(engage_simulator, accounts, jobs_file, mp):
    accounts(
        one=engage_simulator(profiles=300),
        two=engage_simulator(profiles=20, project_id=777),
    )
    jobs_file(
        '[jobs.one]\naccount = "one"\ntable = "users"\ndestination = "duckdb:///one.duckdb"\n'
        '[jobs.two]\naccount = "two"\ntable = "users"\ndestination = "duckdb:///two.duckdb"\n'
    )
    assert mp("sync").code == 0
    assert (count("users", "one.duckdb"), count("users", "two.duckdb")) == (300, 20)


def test_two_jobs_do_not_land_in_one_table(engage_simulator, accounts, jobs_file, mp):
    one, two = engage_simulator(profiles=3), engage_simulator(profiles=3, project_id=777)
    accounts(one=one, two=two)
    jobs_file('[jobs.a]\naccount = "one"\ntable = "t"\n[jobs.b]\naccount = "two"\ntable = "t"\n')
    done = mp("sync", "--only", "a", "--format", "text")
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert "job b: table: job a lands in t of duckdb:///mixpanel.duckdb already" in done.err
    assert one.stats.requests == two.stats.requests == ()


def test_jobs_may_keep_in_step_groups_members_and_columns(simulator, jobs_file, mp):
    jobs_file(
        '[defaults]\naccount = "one"\n'
        "[jobs.users]\nincremental = true\nhistory = true\ncolumns = true\n"
        '[jobs.companies]\ngroup = "company"\n'
        '[jobs.members]\nsubject = "cohort-members"\ncohorts = [7]\nfull = true\n'
    )
    first = outcomes(mp("sync"))
    assert [one["result"]["sync"] for one in first.values()] == ["full", None, "full"]
    assert [one["result"]["total_rows"] for one in first.values()] == [300, 1, 2]
    second = outcomes(mp("sync"))
    assert second["users"]["result"]["sync"] == "incremental"
    assert count("users_columns") == count("users_history") == 300


def test_drift_is_told_and_may_fail_a_job(simulator, jobs_file, mp):
    text = '[jobs.users]\naccount = "one"\ncolumns = true\n'
    jobs_file(text)
    assert mp("sync").code == 0
    simulator.set_profiles([{"$distinct_id": "a", "$properties": {"plan": 7}}])
    assert "the columns did not follow: " in outcomes(mp("sync"))["users"]["message"]
    jobs_file(text + 'on_drift = "fail"\n')
    found = outcomes(mp("sync"))["users"]
    assert (found["status"], found["exit_code"], found["error"]) == ("incomplete", 1, "DriftError")
    assert count("users") == 1


def test_a_destination_that_remembers_nothing_runs_each_time(simulator, jobs_file, mp):
    jobs_file('[jobs.users]\naccount = "one"\nevery = "1d"\ndestination = "jsonl:///users.jsonl"\n')
    assert statuses(mp("sync")) == statuses(mp("sync")) == {"users": "done"}
    assert "keeps no runs" in outcomes(mp("sync", "--dry-run"))["users"]["message"]


def test_a_second_run_of_a_file_does_nothing(simulator, jobs_file, mp, tmp_path):
    path = jobs_file('[jobs.users]\naccount = "one"\n')
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from mixpanel_fetch.jobrun import only_run\n"
            "with only_run(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        done = mp("sync", "./jobs.toml", "--format", "text")
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert "another run" in done.err
        assert simulator.stats.requests == ()
        with pytest.raises(JobsBusyError), only_run(path):
            pass
        assert statuses(mp("sync", "--dry-run")) == {"users": "due"}
        holder.stdin.close()
        holder.wait(30)
    assert mp("sync").code == 0


def test_a_signal_suspends_the_job_and_the_others_do_not_run(
    engage_simulator, accounts, jobs_file, mp
):
    simulator = engage_simulator(profiles=300, page_size=100, page_latency={1: 30.0, 2: 30.0})
    accounts(one=simulator)
    jobs_file('[defaults]\naccount = "one"\n[jobs.users]\n[jobs.others]\n')
    running = subprocess.Popen(
        [sys.executable, "-m", "mixpanel_fetch.cli", "sync", "--format", "json", "-q"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    with running:
        patience = time.monotonic() + 60
        while len(simulator.stats.requests) + simulator.stats.in_flight < 2:
            assert time.monotonic() < patience
            time.sleep(0.05)
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (143, "")
    found = json.loads(out)["jobs"]
    assert [one["status"] for one in found] == ["interrupted", "not run"]
    assert found[0]["result"]["resumable"]


# Reading


def test_a_job_says_everything_that_a_fetch_may_be_told(jobs_file, tmp_path):
    path = jobs_file(
        '[defaults]\naccount = "one"\nevery = "1d"\n'
        '[jobs.a]\nevery = "90m"\ntable = "t"\ngroup_id = -1405123841946871899\nworkspace_id = 5\n'
        'output_properties = ["x"]\nfull_every = "never"\noverlap = "2h"\nmax_gone = "10%"\n'
        'delete = "hard"\nincremental = true\nworkers = 2\npage_size = "auto"\n'
        'options = {a = 1}\nplugins = ["p.py"]\ncolumns = true\nschema = "s.json"\n'
        "[jobs.b]\n"
    )
    first, second = read_jobs(path)
    assert first.query == ProfileQuery(data_group_id=KEY, output_properties=("x",))
    assert first.sync == SyncWish(
        full_every=None, overlap=timedelta(hours=2), delete="hard", max_gone=0.1
    )
    assert (first.table, first.mode, first.every) == ("t", "merge", timedelta(minutes=90))
    assert first.fetch == {"options": {"a": "1"}, "page_size": "auto", "max_workers": 2}
    assert first.connection == {
        "account": "one",
        "workspace_id": "5",
        "plugins": (tmp_path / "p.py",),
    }
    assert first.columns.schema == tmp_path / "s.json"
    assert (second.name, second.table, second.mode) == ("b", "b", "replace")
    assert (second.every, second.query, second.sync) == (timedelta(days=1), ProfileQuery(), None)
    assert chosen_jobs([first, second], ["b"]) == [second]
    with pytest.raises(ConfigError, match="no job is called 'c'"):
        chosen_jobs([first, second], ["c"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[jobs.a]\ntabel = "x"\n', "job a: tabel: unknown key, did you mean table?"),
        ("[jobs.a]\n[job.b]\n", "job: unknown field"),
        ("", "there must be a job"),
        ("[jobs]\n", "there must be a job"),
        ("jobs = 3\n", "jobs: not a valid mapping"),
        ("[jobs.a]\nmax_gone = 'half'\n", "job a: max_gone: 'half' is no share"),
        ("[jobs.a]\nevery = 6\n", "job a: every: must be text"),
        ("[jobs.a]\nevery = '0h'\n", "job a: every must be longer"),
        ("[jobs.a]\nmode = 'truncate'\n", "job a: mode: must be one of"),
        ("[jobs.a]\ncohort = 'x'\n", "job a: cohort must be an integer id"),
        ("[jobs.a]\nhistory = true\n", "job a: history is for tables kept in step"),
        ("[jobs.a]\nfull = true\nmode = 'replace'\n", "job a: a table is kept in step by merging"),
        ("[jobs.a]\ngroup = 'g'\ngroup_id = 5\n", "job a: group and group_id"),
        ("[jobs.a]\nschema = 's.json'\n", "job a: schema, on_drift"),
        ("[jobs.a]\npage_size = 0\n", "job a: page_size: must be a whole number"),
        ("[jobs.a\n", "not valid TOML (at line 1"),
    ],
)
def test_what_is_wrong_is_one_line_with_file_job_and_key(jobs_file, mp, text, words):
    jobs_file(text)
    done = mp("sync", "--format", "text")
    assert (done.code, done.out, done.err.count("\n")) == (3, "", 1)
    assert "jobs.toml" in done.err
    assert words in done.err


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('secret = "hunter2"', "secret"),
        ('api_secret = "hunter2"', "api_secret"),
        ('destination = "postgresql://me:hunter2@db/x"', "destination"),
        ('destination = "duckdb:///x?key=hunter2"', "destination"),
        ('options = {key = "hunter2"}', "options.key"),
        ('secret = "hunter2', "not valid TOML"),
    ],
)
@pytest.mark.parametrize("table", ["jobs.a", "defaults"])
def test_secrets_are_refused_and_never_shown(jobs_file, mp, text, key, table):
    jobs_file(f"[{table}]\n{text}\n[jobs.b]\n")
    done = mp("sync")
    assert done.code == 3
    assert key in done.err
    assert "hunter2" not in done.out + done.err


def test_a_file_that_is_not_there_is_named(mp):
    done = mp("sync", "nightly.toml", "--format", "text")
    assert (done.code, done.err) == (3, "mp: there is no jobs file nightly.toml\n")
