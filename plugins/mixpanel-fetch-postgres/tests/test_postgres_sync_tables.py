"""Tables that are there already, or are called what nobody expects, kept in step."""

from __future__ import annotations

import pytest

from mixpanel_fetch import ConfigError, Workspace
from mixpanel_fetch.sync import SyncWish


@pytest.mark.parametrize("how", ["dropped", "replaced", "made by another merge"])
def test_of_a_table_that_is_another_one_nothing_is_remembered(  # noqa: PLR0917
    kit, engine, engage_simulator, sync, place, how
):
    simulator = engage_simulator(profiles=kit.people(10))
    sync(simulator)
    if how == "replaced":
        kit.fetch(engine, {0: kit.batch("a")}, "replace")
    else:
        place.make("DROP TABLE users")
    if how == "made by another merge":
        kit.fetch(engine, {0: kit.batch("a")}, "merge")
    assert sync(simulator).sync == "full"


@pytest.mark.parametrize("table", ["other.users", 'we"ird', "it's 100% {a} table", "Users"])
def test_a_table_may_be_called_anything(kit, engage_simulator, sync, place, table):
    place.make("CREATE SCHEMA other")
    simulator = engage_simulator(profiles=kit.people(4))
    sync(simulator, table=table, history=True)
    simulator.set_profiles(kit.people(3, m=1))
    result = sync(simulator, table=table, full=True, history=True)
    assert kit.changes(result) == (0, 3, 0, 1)
    names = place.query("SELECT relname FROM pg_class WHERE relkind = 'r'")
    assert (f"{table.removeprefix('other.')}_history",) in names


def test_a_table_whose_history_has_no_room_for_its_name_is_refused(kit, engage_simulator, sync):
    simulator = engage_simulator(profiles=kit.people(4))
    name = "n" * 60
    with pytest.raises(ConfigError, match="too long for PostgreSQL: 68 bytes"):
        sync(simulator, table=name, history=True)
    assert sync(simulator, table=name).exit_code == 0


def test_a_table_that_was_only_fetched_gets_its_column(kit, engine, engage_simulator, sync, place):
    kit.fetch(engine, {0: kit.batch("gone")})
    place.make(
        "ALTER TABLE users ADD note text NOT NULL DEFAULT 'mine'",
        "CREATE VIEW seen AS SELECT * FROM users",
        # Checked at the end of a transaction: the column has to come all the same.
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER look AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION look()",
    )
    simulator = engage_simulator(profiles=kit.people(2))
    assert kit.changes(sync(simulator, max_gone=1.0)) == (2, 0, 0, 1)
    rows = place.query("SELECT distinct_id, note, deleted_at IS NULL FROM users ORDER BY 1")
    assert rows == [("gone", "mine", False), ("id0", "mine", True), ("id1", "mine", True)]
    assert place.query("SELECT count(*) FROM seen") == [(3,)]


def test_a_table_of_the_users_with_other_types_and_no_key(kit, engage_simulator, sync, place):
    place.make(
        "CREATE TABLE users (distinct_id varchar, properties json, last_seen timestamp,"
        " deleted_at timestamp)",
        "INSERT INTO users (distinct_id, properties)"
        " VALUES ('id0', '{}'), ('id0', '{}'), (NULL, '{}'), ('gone', '{}')",
    )
    simulator = engage_simulator(profiles=kit.people(2))
    result = sync(simulator)
    # By profile, not by row; a row of nobody's stays.
    assert kit.changes(result) == (1, 1, 0, 1)
    assert kit.changes(sync(simulator, full=True)) == (0, 0, 2, 0)
    ids = place.query("SELECT distinct_id, deleted_at IS NULL FROM users ORDER BY 1")
    assert ids == [("gone", False), ("id0", True), ("id0", True), ("id1", True), (None, True)]
    ((moment,),) = place.query("SELECT deleted_at FROM users WHERE distinct_id = 'gone'")
    ((began,),) = place.query("SELECT min(started_at) FROM mixpanel_fetch.runs")
    assert moment == began.replace(tzinfo=None)


def test_a_column_of_the_users_is_no_mark(kit, engage_simulator, sync, place):
    place.make(
        "CREATE TABLE users (distinct_id text, properties jsonb, last_seen timestamptz,"
        " deleted_at boolean)",
        "INSERT INTO users VALUES ('id0', '{}', NULL, true)",
    )
    simulator = engage_simulator(profiles=kit.people(2))
    with pytest.raises(ConfigError, match="a column deleted_at that is boolean; rename it"):
        sync(simulator)
    assert kit.changes(sync(simulator, delete="ignore")) == (1, 1, 0, 0)
    assert place.query("SELECT deleted_at FROM users ORDER BY 1") == [(True,), (None,)]


def test_a_table_of_the_users_is_no_history(kit, engage_simulator, sync, place):
    place.make("CREATE TABLE users_history (distinct_id text)")
    with pytest.raises(ConfigError, match="is there and holds no history; rename it"):
        sync(engage_simulator(profiles=kit.people(2)), history=True)
    assert place.query("SELECT to_regclass('users')") == [(None,)]
    assert not place.staged()


def test_rights_that_lack_are_said_before_anything_lands(kit, engage_simulator, place, sync):
    place.make(
        "CREATE TABLE users (distinct_id text, properties jsonb, last_seen timestamptz)",
        "DROP ROLE IF EXISTS syncer",
        "CREATE ROLE syncer LOGIN PASSWORD 'pa55 w0rd'",
        "GRANT CREATE ON DATABASE postgres TO syncer",
        "GRANT USAGE, CREATE ON SCHEMA public TO syncer",
        "GRANT SELECT, INSERT, UPDATE ON users TO syncer",
    )
    place.uri = place.uri.replace("tester", "syncer")
    simulator = engage_simulator(profiles=kit.people(2))
    try:
        with pytest.raises(ConfigError, match="syncer does not own table"):
            sync(simulator)
        with pytest.raises(ConfigError, match="lacks the right to DELETE on table"):
            sync(simulator, delete="hard")
        assert kit.changes(sync(simulator, delete="ignore", history=True)) == (2, 0, 0, 0)
    finally:
        place.make("DROP OWNED BY syncer CASCADE", "DROP ROLE syncer")


OTHER_MARK = (
    "CREATE TABLE users (distinct_id text, properties jsonb, last_seen timestamptz,"
    " deleted_at boolean)"
)


@pytest.mark.parametrize(
    ("theirs", "table", "words"),
    [
        (OTHER_MARK, "users", "a column deleted_at that is boolean; rename it"),
        ("CREATE TABLE users_history (mine int)", "users", "is there and holds no history"),
        ("CREATE VIEW users_history AS SELECT 1", "users", "users_history is a view"),
        ("CREATE SCHEMA other", "n" * 60, "too long for PostgreSQL: 68 bytes"),
    ],
)
def test_what_is_in_the_way_is_told_before_a_request_is_spent(  # noqa: PLR0917
    engage_simulator, place, engine, theirs, table, words
):
    place.make(theirs)
    simulator = engage_simulator(profiles=3)
    account = {"username": "demo", "secret": "demo-secret", "project_id": 12345}
    workspace = Workspace(destination=engine, api_base_url=simulator.base_url, **account)
    for asked in (workspace.fetch_profiles, workspace.preview_profiles):
        with pytest.raises(ConfigError, match=words):
            asked(table, sync=SyncWish(history=True))
    assert simulator.stats.requests == ()
    assert place.query("SELECT to_regnamespace('mixpanel_fetch')") == [(None,)]


def test_what_is_in_the_way_can_be_asked_alone_and_of_what_is_not_there(kit, place, engine):
    order = kit.sync_info(history=True).sync
    engine.check_in_step("users", order)
    place.make(OTHER_MARK)
    with pytest.raises(ConfigError, match="a column deleted_at that is boolean"):
        engine.check_in_step("users", order)
    engine.check_in_step("users", kit.sync_info(delete="ignore").sync)
    with pytest.raises(ConfigError, match="there is no schema other"):
        engine.check_in_step("other.users", order)
