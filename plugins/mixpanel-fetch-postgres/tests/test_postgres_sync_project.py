"""A project that changes over fifty syncs: the table, and its versions, are what it was."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import duckdb
import pytest

TEXT = "%Y-%m-%dT%H:%M:%S"
SYNCS = 50
VERSIONS_AT = """SELECT distinct_id, (properties->>'n')::int FROM users_history
    WHERE valid_from <= %s AND (valid_to IS NULL OR valid_to > %s)"""


class Project:
    """Profiles that change: ``people`` is what a complete fetch brings now."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now = datetime(2026, 1, 1)
        self.people = {}
        self.silent = set()
        for number in range(40):
            self.insert(f"first{number}")

    def insert(self, name):
        self.people[name] = {"n": 0, "$last_seen": self.now.strftime(TEXT)}

    def edit(self, name):
        """As in the UI or with ``$ignore_time`` where ``$last_seen`` stays."""
        self.people[name] |= {"n": self.people[name]["n"] + 1}
        if self.random.random() < 0.5:
            self.people[name] |= {"$last_seen": self.now.strftime(TEXT)}
            self.silent.discard(name)
        else:
            self.silent.add(name)

    def live_on(self):
        self.now += timedelta(minutes=self.random.randint(1, 60 * 24))
        some = self.random.sample(sorted(self.people), 6)
        for name in some[:4]:
            self.edit(name)
        for name in some[4:]:
            del self.people[name]
        for number in range(self.random.randint(0, 4)):
            # Somebody who was deleted may come back.
            self.insert(f"later{self.random.randint(0, 30)}-{number}")

    def profiles(self):
        """In another order each time, the properties too."""
        rows = []
        for name, properties in self.people.items():
            shuffled = self.random.sample(sorted(properties.items()), len(properties))
            rows.append({"$distinct_id": name, "$properties": dict(shuffled)})
        return self.random.sample(rows, len(rows))

    def contents(self):
        return {name: properties["n"] for name, properties in self.people.items()}


def test_the_table_follows_a_project_that_changes(engage_simulator, sync, place):
    project = Project(1)
    simulator = engage_simulator(profiles=project.profiles(), page_size=25)
    seen_at, known = {}, {}
    for _ in range(SYNCS):
        simulator.set_profiles(project.profiles())
        result = sync(simulator, full=project.random.random() < 0.3, history=True)
        assert (result.exit_code, result.missing_rows) == (0, 0)
        rows = place.query("SELECT distinct_id, (properties->>'n')::int, deleted_at FROM users")
        landed, truth = {name: n for name, n, gone in rows if gone is None}, project.contents()
        if result.sync == "full":
            assert landed == truth
            project.silent.clear()
        for name in truth.keys() | landed.keys():
            if landed.get(name) != truth.get(name):
                # Edits that do not move $last_seen, and deletions, leave no trace in between.
                assert name in project.silent or name not in truth
                assert landed.get(name) == known.get(name)
        ((moment,),) = place.query("SELECT max(started_at) FROM mixpanel_fetch.runs")
        seen_at[moment], known = landed, landed
        project.live_on()
    assert len(seen_at) == SYNCS
    for moment, landed in seen_at.items():
        versions = place.query(VERSIONS_AT, moment, moment)
        assert len(versions) == len(landed)
        assert dict(versions) == landed
    assert place.query(
        "SELECT distinct_id FROM users_history WHERE is_current GROUP BY 1 HAVING count(*) > 1"
        " UNION SELECT distinct_id FROM users_history WHERE is_current <> (valid_to IS NULL)"
    ) == []  # fmt: skip


@pytest.mark.parametrize("delete", ["mark", "hard", "ignore"])
def test_it_is_what_a_duckdb_file_would_be(  # noqa: PLR0917
    kit, engage_simulator, sync, place, tmp_path, delete
):
    project, file = Project(2), tmp_path / "same.duckdb"
    simulator = engage_simulator(page_size=25)
    for number in range(5):
        simulator.set_profiles(project.profiles())
        wish = {"full": number % 3 == 0, "delete": delete, "history": True}
        here = sync(simulator, **wish)
        there = sync(simulator, into=f"duckdb:///{file}", **wish)
        assert (here.sync, kit.changes(here)) == (there.sync, kit.changes(there))
        project.live_on()
    seen = "CAST(extract(epoch FROM last_seen) AS bigint)"
    asked = (
        f"SELECT distinct_id, CAST(properties->>'n' AS int), {seen}"
        f" {', deleted_at IS NULL' if delete == 'mark' else ''} FROM users",
        "SELECT distinct_id, CAST(properties->>'n' AS int), is_current, valid_to IS NULL"
        " FROM users_history",
        f"SELECT sync_key, {seen}, history FROM mixpanel_fetch.sync",
    )
    with duckdb.connect(str(file), read_only=True) as connection:
        for question in asked:
            found = place.query(question)
            assert sorted(found) == sorted(connection.execute(question).fetchall())
            assert found
