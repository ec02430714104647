"""The whole way with the built-in sink: what a user relies on, end to end."""

from __future__ import annotations

import json
from datetime import timezone

import duckdb
import pytest

from mixpanel_fetch.batch import parse_instant
from mixpanel_fetch.simulator import Fault, SimulatorProcess, awkward_profiles

# Long; shorter tests cover the same lines.
pytestmark = pytest.mark.no_cover


def read(file, statement):
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(statement).fetchall()


def table_of(file, table="users"):
    return read(file, f'SELECT * FROM "{table}" ORDER BY distinct_id')


def test_24500_profiles_in_parallel_and_one_after_the_other_make_equal_tables(
    workspace_of, tmp_path
):
    with SimulatorProcess(profiles=24_500, latency=0.25, gather=5) as simulator:
        one = workspace_of(simulator, f"duckdb:///{tmp_path}/one.duckdb")
        many = workspace_of(simulator, f"duckdb:///{tmp_path}/many.duckdb")
        assert many.fetch_profiles("users", parallel=True).exit_code == 0
        stats = simulator.stats
        assert stats.max_in_flight == 5
        assert stats.pages == dict.fromkeys(range(25), 1)
        assert one.fetch_profiles("users").exit_code == 0
        again = many.fetch_profiles("users", parallel=True, append=True)
    assert (again.exit_code, again.updated, again.inserted) == (0, 24_500, 0)
    table = table_of(tmp_path / "many.duckdb")
    assert len(table) == 24_500
    assert table == table_of(tmp_path / "one.duckdb")


def test_the_table_has_the_promised_shape(engage_simulator, workspace_of, tmp_path):
    workspace = workspace_of(engage_simulator(), f"duckdb:///{tmp_path}/x.duckdb")
    workspace.fetch_profiles("users")
    columns = read(
        tmp_path / "x.duckdb",
        "SELECT name, type, pk FROM pragma_table_info('users')",
    )
    assert columns == [
        ("distinct_id", "VARCHAR", True),
        ("properties", "JSON", False),
        ("last_seen", "TIMESTAMP", False),
    ]


def expected(profile):
    """What a profile's row should hold: the model that the table is compared with."""
    identity = profile["$distinct_id"]
    properties = dict(profile.get("$properties") or {})
    seen = properties.get("$last_seen")
    instant = parse_instant(seen) if isinstance(seen, str) else None
    if instant is not None:
        del properties["$last_seen"]
        instant = instant.astimezone(timezone.utc).replace(tzinfo=None)
    return identity if isinstance(identity, str) else None, properties, instant


def mended(value):
    """A value with lone surrogates as U+FFFD, in keys too."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [mended(item) for item in value]
    if isinstance(value, dict):
        return {mended(key): mended(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("parallel", [False, True])
def test_awkward_profiles_land_whole_and_equal(engage_simulator, workspace_of, tmp_path, parallel):
    profiles = awkward_profiles()
    simulator = engage_simulator(profiles=profiles, page_size=500)
    workspace = workspace_of(simulator, f"duckdb:///{tmp_path}/x.duckdb")
    result = workspace.fetch_profiles("users", parallel=parallel)
    assert (result.total_rows, result.rejected_rows, result.failed_pages) == (3200, 0, 0)
    assert result.repaired_values > 0
    assert result.exit_code == 0
    rows = {row[0]: row[1:] for row in table_of(tmp_path / "x.duckdb")}
    assert len(rows) == 3200
    compared = 0
    for profile in profiles:
        identity, properties, instant = expected(profile.value)
        if identity is None:  # a number: its digits are the id, and they are in the raw text
            assert any(key.encode() in profile.raw for key in rows)
            continue
        text, last_seen = rows[mended(identity)]
        landed = json.loads(text)
        assert landed == mended(properties), profile.note
        assert list(landed) == list(mended(properties)), profile.note
        assert last_seen == instant, profile.note
        compared += 1
    assert compared > 2500


def test_numbers_keep_their_very_text(engage_simulator, workspace_of, tmp_path):
    raw = (
        b'{"$distinct_id":12345678901234567890123,"$properties":'
        b'{"b":123456789012345678901234567890,"f":1.10,"z":-0,"e":1E5,"A":1,"a":2}}'
    )
    workspace = workspace_of(engage_simulator(profiles=[raw]), f"duckdb:///{tmp_path}/x.duckdb")
    workspace.fetch_profiles("users")
    ((identity, text, _),) = table_of(tmp_path / "x.duckdb")
    assert identity == "12345678901234567890123"
    assert text == '{"b":123456789012345678901234567890,"f":1.10,"z":-0,"e":1E5,"A":1,"a":2}'


@pytest.mark.parametrize("mode", ["replace", "merge"])
def test_a_page_that_fails_for_good_leaves_the_old_table(
    engage_simulator, workspace_of, tmp_path, mode
):
    file = tmp_path / "x.duckdb"
    simulator = engage_simulator(profiles=1000, page_size=100, kind="narrow")
    workspace = workspace_of(simulator, f"duckdb:///{file}")
    workspace.fetch_profiles("users", parallel=True)
    before = table_of(file)
    simulator.set_profiles(1200)
    simulator.set_faults([Fault(4, "500", times=None)])
    result = workspace.fetch_profiles("users", parallel=True, mode=mode)
    assert (result.exit_code, result.published, result.failed_page_indices) == (1, False, (4,))
    assert table_of(file) == before
    simulator.set_faults([])
    result = workspace.fetch_profiles("users", parallel=True, mode=mode)
    assert result.exit_code == 0
    assert len(table_of(file)) == 1200


def test_a_whole_merge_updates_and_adds(engage_simulator, workspace_of, tmp_path):
    file = tmp_path / "x.duckdb"

    def profile(number, plan):
        return {"$distinct_id": f"u{number}", "$properties": {"plan": plan}}

    simulator = engage_simulator(profiles=[profile(n, "free") for n in range(30)], page_size=10)
    workspace = workspace_of(simulator, f"duckdb:///{file}")
    first = workspace.fetch_profiles("users", mode="merge")
    assert (first.inserted, first.updated) == (30, 0)
    simulator.set_profiles([profile(n, "pro") for n in range(20, 50)])
    second = workspace.fetch_profiles("users", mode="merge", parallel=True)
    assert (second.inserted, second.updated, second.exit_code) == (20, 10, 0)
    counts = read(file, "SELECT properties->>'plan', count(*) FROM users GROUP BY 1 ORDER BY 1")
    assert counts == [("free", 20), ("pro", 30)]


def test_a_profile_sent_twice_is_in_the_table_once_and_the_later_page_wins(
    engage_simulator, workspace_of, tmp_path
):
    def profile(number, page):
        return {"$distinct_id": f"u{number}", "$properties": {"page": page}}

    profiles = [profile(n, 0) for n in range(10)] + [profile(n, 1) for n in range(5, 15)]
    simulator = engage_simulator(profiles=profiles, page_size=10)
    workspace = workspace_of(simulator, f"duckdb:///{tmp_path}/x.duckdb")
    result = workspace.fetch_profiles("users")
    assert (result.total_rows, result.duplicate_rows, result.exit_code) == (15, 5, 0)
    pages = read(
        tmp_path / "x.duckdb", "SELECT properties->>'page', count(*) FROM users GROUP BY 1"
    )
    assert dict(pages) == {"0": 5, "1": 10}


@pytest.mark.parametrize("tls", [False, True])
def test_pages_overlap_over_http_and_tls(workspace_of, tmp_path, slowdown, tls):
    with SimulatorProcess(
        profiles=2000, page_size=100, latency=0.2, gather=5, tls=tls
    ) as simulator:
        workspace = workspace_of(
            simulator, f"duckdb:///{tmp_path}/x.duckdb", verify=simulator.ca_bundle
        )
        many = workspace.fetch_profiles("many", parallel=True)
        assert simulator.stats.max_in_flight == 5
        one = workspace.fetch_profiles("one")
    assert many.exit_code == one.exit_code == 0
    assert many.duration_seconds < one.duration_seconds * 0.6 * slowdown()


def test_no_secret_is_left_anywhere(engage_simulator, workspace_of, tmp_path, caplog):
    secret = "hunter2-0123456789"
    simulator = engage_simulator(secret=secret, profiles=300, page_size=100)
    caplog.set_level(0)
    for destination in ("duckdb:///{}/x.duckdb", "jsonl:///{}/x.jsonl", "parquet:///{}/x.parquet"):
        workspace = workspace_of(simulator, destination.format(tmp_path), secret=secret)
        result = workspace.fetch_profiles("users", parallel=True)
        assert secret not in repr(result) + json.dumps(result.to_dict()) + repr(workspace.__dict__)
    assert secret not in caplog.text
    for file in tmp_path.rglob("*"):
        assert secret.encode() not in file.read_bytes()


def test_a_connection_of_the_hosts_can_be_handed_in(engage_simulator, workspace_of, tmp_path):
    from mixpanel_fetch.defaults.duckdb_sink import DuckDBEngine

    with duckdb.connect(str(tmp_path / "host.duckdb")) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 1 AS one")
        simulator = engage_simulator(profiles=300, page_size=100)
        workspace = workspace_of(simulator, DuckDBEngine(connection=connection))
        assert workspace.fetch_profiles("users", parallel=True).total_rows == 300
        assert connection.execute("SELECT count(*) FROM users, mine").fetchone() == (300,)
