"""Many projects: a simulator and an account for each, and the jobs that fetch them."""

from __future__ import annotations

from concurrent.futures import Executor, Future

import pytest

from mixpanel_fetch.jobs import Job


class Projects:
    """So many projects, ``names`` by number, in the accounts of the configuration file."""

    def __init__(self, folder, simulators, wrong):
        self.folder, self.simulators = folder, simulators
        self.names = [f"p{number}" for number in range(len(simulators))]
        accounts = [
            f'[accounts.{name}]\nusername = "demo"\nproject_id = {simulator.config.project_id}\n'
            f'secret = "{"mistaken" if number in wrong else "demo-secret"}"\n'
            f'api_base_url = "{simulator.base_url}"\n'
            for number, (name, simulator) in enumerate(zip(self.names, simulators, strict=True))
        ]
        self.config = folder / "config.toml"
        self.config.write_text("".join(accounts))
        self.config.chmod(0o600)

    def job(self, number, **changes):
        """A job of one project, into a file of its own."""
        name = self.names[number]
        connection = {"account": name, "destination": f"duckdb:///{self.folder}/{name}.duckdb"}
        connection |= changes.pop("connection", {})
        given = {"name": name, "table": "users", "fetch": {"parallel": True}, **changes}
        return Job(connection=connection, **given)

    def jobs(self, **changes):
        """A job of each project."""
        return [self.job(number, **changes) for number in range(len(self.names))]

    def write_jobs(self, lines=""):
        """A jobs file with the same jobs, and ``lines`` in each."""
        path = self.folder / "jobs.toml"
        path.write_text(
            "[defaults]\nparallel = true\n"
            + "".join(
                f'[jobs.{name}]\naccount = "{name}"\ntable = "users"\n'
                f'destination = "duckdb:///{self.folder}/{name}.duckdb"\n{lines}'
                for name in self.names
            )
        )
        return path


@pytest.fixture
def projects(engage_simulator, tmp_path, monkeypatch):
    """Make so many projects; those in ``wrong`` have an account with a wrong secret."""

    def make(many, *, wrong=(), **switches):
        switches = {"profiles": 300, "page_size": 50, **switches}
        simulators = [engage_simulator(project_id=1000 + one, **switches) for one in range(many)]
        made = Projects(tmp_path, simulators, wrong)
        monkeypatch.setenv("MP_CONFIG", str(made.config))
        return made

    return make


class Here(Executor):
    """Calls at once, in the thread that submits."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(self.call(fn, *args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

    def call(self, fn, *args, **kwargs):
        return fn(*args, **kwargs)


@pytest.fixture
def here():
    """The base of executors that do something with what they are given."""
    return Here
