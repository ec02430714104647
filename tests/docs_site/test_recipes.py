"""The recipes for schedulers, run as far as that goes without the schedulers."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import kubernetes_validate
import pytest
import yaml

from mixpanel_fetch.simulator import Fault

from .recipes import RECIPES, unit_of, write_accounts

MP = Path(sys.executable).with_name("mp")
UNITS = ["mixpanel-fetch.service", "mixpanel-fetch.timer"]
MANIFEST = list(yaml.safe_load_all((RECIPES / "cronjob.yaml").read_text(encoding="utf-8")))
CONFIG_MAP, CLAIM, CRON_JOB = MANIFEST
JOB = CRON_JOB["spec"]["jobTemplate"]["spec"]
POD = JOB["template"]["spec"]
(CONTAINER,) = POD["containers"]


def ids_in(file, table):
    with duckdb.connect(str(file), read_only=True) as connection:
        (found,) = connection.execute(f"SELECT count(DISTINCT distinct_id) FROM {table}").fetchone()
        return found


def run(command, folder, **environment):
    """Run a command with no more of an environment than a scheduler gives."""
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# --- Airflow: what its tasks call


@pytest.fixture(scope="module")
def recipe():
    spec = importlib.util.spec_from_file_location("mixpanel_jobs", RECIPES / "mixpanel_jobs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def projects(engage_simulator, monkeypatch, tmp_path):
    """A jobs file over two projects, one of whose secrets is wrong; and the right one's server."""
    right = engage_simulator(profiles=500, page_size=100, project_id=11)
    other = engage_simulator(profiles=50, project_id=22)
    wrong = type(other.config)(project_id=22, secret="not this one")
    accounts = {"right": (right.base_url, right.config), "wrong": (other.base_url, wrong)}
    monkeypatch.setenv("MP_CONFIG", str(write_accounts(tmp_path / "config.toml", accounts)))
    jobs = tmp_path / "jobs.toml"
    jobs.write_text(
        f"""
        [jobs.users]
        account = "right"
        project_id = 11
        destination = "duckdb:///{tmp_path}/right.duckdb"
        [jobs.again]
        account = "right"
        project_id = 11
        destination = "duckdb:///{tmp_path}/right.duckdb"
        [jobs.theirs]
        account = "wrong"
        destination = "duckdb:///{tmp_path}/wrong.duckdb"
        """,
        encoding="utf-8",
    )
    return jobs, right


def test_jobs_are_told_apart_by_project(recipe, projects):
    assert recipe.jobs_by_project(projects[0]) == {"11": ["users", "again"], "wrong": ["theirs"]}


def test_a_task_returns_what_became_of_its_job(recipe, projects, tmp_path):
    outcome = recipe.run(projects[0], "users")
    assert (outcome["status"], outcome["result"]["total_rows"]) == ("done", 500)
    assert ids_in(tmp_path / "right.duckdb", "users") == 500


def test_a_second_try_asks_for_what_is_missing(recipe, projects, tmp_path):
    jobs, server = projects
    server.set_faults([Fault(3, "400", times=None)])
    with pytest.raises(recipe.JobError, match=r"users: .*1 of 5 pages are missing") as caught:
        recipe.run(jobs, "users")
    assert not isinstance(caught.value, recipe.NeedsPersonError)
    server.set_faults([])
    server.reset_stats()
    assert recipe.run(jobs, "users")["status"] == "done"
    assert set(server.stats.pages) == {3}
    assert ids_in(tmp_path / "right.duckdb", "users") == 500


def test_a_wrong_secret_needs_a_person_and_stays_out_of_the_message(recipe, projects):
    with pytest.raises(recipe.NeedsPersonError, match="theirs: ") as caught:
        recipe.run(projects[0], "theirs")
    assert "not this one" not in str(caught.value)


# --- systemd


@pytest.fixture
def installed(tmp_path):
    """The units in a folder of their own, with the ``mp`` of this environment."""
    for name in UNITS:
        text = (RECIPES / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/mixpanel-fetch/bin/mp", str(MP)))
    return tmp_path


def analyze(*arguments):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("needs systemd-analyze, of Debian's package systemd")
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_wrong_with_a_unit(name, installed):
    done = analyze("verify", "--man=no", installed / name)
    assert [line for line in done.stderr.splitlines() if "mixpanel-fetch" in line] == []
    assert done.returncode == 0


def test_systemd_finds_the_service_shut_in(installed):
    # Ten times the exposure, where 0 is best: below 2.0 is what it calls OK.
    done = analyze("security", "--offline=true", "--threshold=20", installed / UNITS[0])
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_service_holds_its_secret_in_no_environment_and_owns_no_account():
    unit = list(unit_of(UNITS[0]))
    assert ("DynamicUser", "yes") in unit
    assert ("LoadCredential", "config.toml:/etc/mixpanel-fetch/config.toml") in unit
    assert not [value for key, value in unit if "EnvironmentFile" in key or "SECRET" in value]


def test_the_timer_makes_up_for_what_it_missed():
    unit = dict(unit_of(UNITS[1]))
    assert unit["Persistent"] == "true"
    assert unit["WantedBy"] == "timers.target"


def test_the_service_fetches_and_the_next_time_nothing_is_due(engage_simulator, tmp_path):
    simulator = engage_simulator(profiles=500)
    state, cache, credentials = (tmp_path / name for name in ("state", "cache", "credentials"))
    for folder in (state / "mixpanel-fetch", cache / "mixpanel-fetch", credentials):
        folder.mkdir(parents=True)
    account = {"prod": (simulator.base_url, simulator.config)}
    write_accounts(credentials / "config.toml", account).chmod(0o400)
    jobs = tmp_path / "jobs.toml"
    jobs.write_text('[jobs.users]\naccount = "prod"\nevery = "1h"\n', encoding="utf-8")

    unit = list(unit_of(UNITS[0]))
    for specifier, folder in {"%S": state, "%C": cache, "%d": credentials}.items():
        unit = [(key, value.replace(specifier, str(folder))) for key, value in unit]
    settings = dict(value.split("=", 1) for key, value in unit if key == "Environment")
    given = dict(unit)
    program, *arguments = given["ExecStart"].split()
    assert program == "/opt/mixpanel-fetch/bin/mp"
    arguments[arguments.index("/etc/mixpanel-fetch/jobs.toml")] = str(jobs)

    done = run([MP, *arguments], given["WorkingDirectory"], **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("users: done: 500 rows")
    assert ids_in(state / "mixpanel-fetch" / "mixpanel.duckdb", "users") == 500
    assert list(cache.rglob("*.lock"))

    done = run([MP, *arguments], given["WorkingDirectory"], **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("users: not due")


# --- Kubernetes


@pytest.mark.parametrize("document", MANIFEST, ids=lambda document: document["kind"])
@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
def test_kubernetes_takes_the_manifest(document, version):
    used = kubernetes_validate.validate(document, version, strict=True)
    assert version.startswith(used)


def test_the_schemas_refuse_a_misspelt_key():
    wrong = {**CRON_JOB, "spec": {**CRON_JOB["spec"], "concurencyPolicy": "Forbid"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_two_runs_never_overlap_and_each_ends():
    assert CRON_JOB["spec"]["concurrencyPolicy"] == "Forbid"
    assert 0 < JOB["activeDeadlineSeconds"] < 24 * 3600
    assert JOB["backoffLimit"] > 0


def test_what_a_person_must_mend_is_not_tried_again():
    # Kubernetes takes such rules only for pods that are not started again in place.
    assert POD["restartPolicy"] == "Never"
    failing = JOB["podFailurePolicy"]["rules"][0]
    assert failing["action"] == "FailJob"
    assert failing["onExitCodes"] == {
        "containerName": CONTAINER["name"],
        "operator": "In",
        "values": [2, 3],
    }


def test_the_secret_comes_from_a_secret():
    environment = {entry["name"]: entry for entry in CONTAINER["env"]}
    for name in ("MP_USERNAME", "MP_SECRET", "MP_PROJECT_ID"):
        assert "value" not in environment[name]
        assert environment[name]["valueFrom"]["secretKeyRef"]["name"] == "mixpanel-fetch"
    assert "Secret" not in {document["kind"] for document in MANIFEST}


def test_what_is_fetched_outlives_the_pod():
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in CONTAINER["volumeMounts"]}
    assert mounts["/data"]["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
    assert mounts["/etc/mixpanel-fetch"]["configMap"]["name"] == CONFIG_MAP["metadata"]["name"]
    assert CONTAINER["resources"]["limits"]["memory"]


def test_the_container_runs_its_jobs(engage_simulator, tmp_path):
    simulator = engage_simulator(profiles=500)
    jobs = tmp_path / "jobs.toml"
    text = CONFIG_MAP["data"]["jobs.toml"]
    assert "duckdb:////data/" in text
    jobs.write_text(text.replace("duckdb:////data/", f"duckdb:///{tmp_path}/"), encoding="utf-8")
    mp, *arguments = CONTAINER["command"]
    assert mp == "mp"
    arguments[arguments.index("/etc/mixpanel-fetch/jobs.toml")] = str(jobs)
    settings = {
        "MP_USERNAME": simulator.config.username,
        "MP_SECRET": simulator.config.secret,
        "MP_PROJECT_ID": str(simulator.config.project_id),
        "MP_API_BASE_URL": simulator.base_url,
    }
    done = run([MP, *arguments], tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"), **settings)
    assert done.returncode == 0, done.stderr
    warehouse = tmp_path / "warehouse.duckdb"
    assert ids_in(warehouse, "users") == 500
    assert 0 < ids_in(warehouse, "paying") < 500
