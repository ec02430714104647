from __future__ import annotations

import threading
import time

import pytest

from mixpanel_fetch.errors import ConfigError, StorageError, TableExistsError, TableNotFoundError

OURS = "(distinct_id text PRIMARY KEY, properties jsonb, last_seen timestamptz)"


def test_create_makes_the_table_that_is_promised(kit, place, engine):
    report = kit.fetch(engine, {1: kit.batch("c"), 0: kit.batch("a", "b")})
    assert (report.total_rows, report.inserted, report.updated) == (3, 3, 0)
    columns = place.query(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_name = 'users' ORDER BY ordinal_position"
    )
    assert columns == [
        ("distinct_id", "text", "NO"),
        ("properties", "jsonb", "YES"),
        ("last_seen", "timestamp with time zone", "YES"),
    ]
    keys = place.query(
        "SELECT conname, contype FROM pg_constraint WHERE conrelid = 'users'::regclass"
    )
    assert keys == [("users_pkey", "p")]
    options = "SELECT reloptions, relpersistence FROM pg_class WHERE relname = 'users'"
    assert place.query(options) == [(None, "p")]
    assert place.values() == {"a": "1", "b": "1", "c": "1"}
    assert place.query("SELECT DISTINCT last_seen FROM users") == [(kit.SEEN,)]
    assert not place.staged()


def test_the_later_page_wins_whatever_order_pages_arrive_in(kit, place, engine):
    pages = {
        2: kit.batch("x", "y", value="two"),
        0: kit.batch("x", "z", "z", value="zero"),
        1: kit.batch("y", "q", value="one"),
    }
    report = kit.fetch(engine, pages)
    assert place.values() == {"x": "two", "y": "two", "z": "zero", "q": "one"}
    assert (report.total_rows, report.inserted, report.duplicate_rows) == (4, 4, 3)


def test_within_a_page_the_later_row_wins(kit, place, engine):
    rows = [{"distinct_id": "a", "properties": {"v": n}} for n in range(5)]
    report = kit.fetch(engine, {0: kit.Batch.from_rows(rows)})
    assert place.values() == {"a": "4"}
    assert (report.total_rows, report.duplicate_rows) == (1, 4)


def test_several_pages_land_at_once(kit, place, engine):
    load = engine.begin("users", "create", kit.run_info(total_pages=3))
    assert load.write_pages(
        [(2, kit.batch("a", "b", value=2)), (0, kit.batch("a")), (1, kit.batch())]
    ) == [2, 1, 0]
    assert load.landed_pages() == {0, 1, 2}
    with pytest.raises(StorageError, match="page 1 has landed already"):
        load.write_pages([(1, kit.batch("z"))])
    assert load.commit().duplicate_rows == 1
    assert place.values() == {"a": "2", "b": "2"}


def test_duplicates_are_counted_before_they_are_published(kit, place, engine):
    load = engine.begin("users", "create", kit.run_info(total_pages=3))
    load.write(1, kit.batch("a", "b", "b"))
    assert load.count_duplicates() == 1
    load.write(0, kit.batch("a", "c"))
    assert load.count_duplicates() == 2
    assert place.query("SELECT count(*) FROM pg_class WHERE relname = 'users'") == [(0,)]
    load.write(2, kit.batch("a"))
    report = load.commit()
    assert (report.total_rows, report.duplicate_rows) == (3, 3)


def test_create_refuses_an_existing_table(kit, place, engine):
    place.make("CREATE TABLE users (a int)")
    with pytest.raises(TableExistsError, match=r"table public\.users exists; use --append"):
        engine.check("users", "create")
    with pytest.raises(TableExistsError):
        engine.begin("users", "create", kit.run_info())
    assert place.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'mixpanel_fetch'") == [
        (0,)
    ]


def test_append_to_a_missing_table_is_refused(engine):
    with pytest.raises(TableNotFoundError, match="does not exist"):
        engine.check("users", "append")


@pytest.mark.parametrize("mode", ["append", "merge"])
@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE users " + OURS,
        "CREATE TABLE users (distinct_id varchar(40), properties json, last_seen timestamp)",
        "CREATE TABLE users (extra int NOT NULL DEFAULT 7, last_seen timestamptz,"
        " properties jsonb, distinct_id text, id bigint GENERATED ALWAYS AS IDENTITY)",
        "CREATE TABLE users (distinct_id text, properties jsonb, last_seen timestamptz)"
        " PARTITION BY HASH (distinct_id); CREATE TABLE part PARTITION OF users"
        " FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
    ],
)
def test_upsert_keeps_other_rows_and_counts_new_and_old(kit, place, engine, mode, table):
    place.make(
        table,
        "CREATE INDEX i ON users (last_seen)",
        "INSERT INTO users (distinct_id, properties) VALUES ('a', '{\"v\":0}'), ('k', '{\"v\":0}')",
    )
    pages = {0: kit.batch("a", "b", "b"), 1: kit.batch("a", value=2), 2: kit.batch()}
    report = kit.fetch(engine, pages, mode)
    assert place.values() == {"a": "2", "b": "1", "k": "0"}
    assert (report.total_rows, report.inserted, report.updated) == (2, 1, 1)
    assert report.duplicate_rows == 2
    if "extra" in table:
        assert place.query("SELECT DISTINCT extra FROM users") == [(7,)]
    seen = place.query(
        "SELECT to_char(last_seen, 'HH24:MI:SS.US') FROM users WHERE v = 1".replace(
            "v = 1", "distinct_id = 'b'"
        )
    )
    assert seen == [("03:04:05.678901",)]
    assert not place.staged()


def test_appending_the_same_again_writes_no_row(kit, place, engine):
    kit.fetch(engine, {0: kit.batch("a", "b")})
    before = place.query("SELECT xmin, ctid, distinct_id FROM users ORDER BY 3")
    report = kit.fetch(engine, {0: kit.batch("a", "b")}, "append")
    assert (report.inserted, report.updated, report.total_rows) == (0, 2, 2)
    assert place.query("SELECT xmin, ctid, distinct_id FROM users ORDER BY 3") == before


def test_a_number_written_otherwise_is_a_change(kit, place, engine):
    for text in (b'{"v":1.10}', b'{"v":1.1}'):
        kit.fetch(engine, {0: kit.Batch(["a"], [text], [None])}, "merge")
    assert place.query("SELECT properties::text FROM users") == [('{"v": 1.1}',)]


def test_merge_makes_a_missing_table(kit, place, engine):
    report = kit.fetch(engine, {0: kit.batch("a", "a")}, "merge")
    assert (report.inserted, report.updated, report.duplicate_rows) == (1, 0, 1)
    assert place.values() == {"a": "1"}


def test_replace_keeps_all_that_belongs_to_the_table(kit, place, engine):
    place.make(
        "CREATE TABLE users " + OURS,
        "INSERT INTO users VALUES ('old', '{}', NULL), ('a', '{\"v\":0}', NULL)",
        "CREATE INDEX seen ON users (last_seen)",
        "COMMENT ON TABLE users IS 'it''s mine'",
        "COMMENT ON COLUMN users.properties IS 'props'",
        "CREATE VIEW v AS SELECT distinct_id FROM users",
        "CREATE MATERIALIZED VIEW mv AS SELECT distinct_id FROM users",
        "CREATE ROLE reader_of_replace",
        "GRANT SELECT ON users TO reader_of_replace",
        "CREATE TABLE log (what text)",
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO log VALUES (TG_OP); RETURN NULL; END $$",
        "CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON users"
        " FOR EACH ROW EXECUTE FUNCTION noted()",
        "CREATE TABLE child (u text REFERENCES users ON DELETE CASCADE)",
        "INSERT INTO child VALUES ('a'), ('old')",
    )
    before = place.query(
        "SELECT 'users'::regclass::oid, relacl FROM pg_class WHERE oid = 'users'::regclass"
    )
    report = kit.fetch(engine, {0: kit.batch("a", "b", "a"), 1: kit.batch("c")}, "replace")
    assert (report.total_rows, report.inserted, report.updated) == (3, 3, 0)
    assert report.duplicate_rows == 1
    assert place.values() == {"a": "1", "b": "1", "c": "1"}
    assert (
        place.query(
            "SELECT 'users'::regclass::oid, relacl FROM pg_class WHERE oid = 'users'::regclass"
        )
        == before
    )
    assert sorted(place.query("SELECT * FROM v")) == [("a",), ("b",), ("c",)]
    # The profile that is still there never went, or this row would have gone with it.
    assert place.query("SELECT * FROM child") == [("a",)]
    assert sorted(place.query("SELECT * FROM log")) == [
        ("DELETE",),
        ("INSERT",),
        ("INSERT",),
        ("UPDATE",),
    ]
    assert place.query("SELECT obj_description('users'::regclass)") == [("it's mine",)]
    place.make("DROP OWNED BY reader_of_replace", "DROP ROLE reader_of_replace")


def test_replace_makes_ids_unique_where_no_key_did(kit, place, engine):
    place.make(
        "CREATE TABLE users (distinct_id text, properties jsonb, last_seen timestamptz)",
        "INSERT INTO users VALUES ('a', '{}', NULL), ('a', '{}', NULL), (NULL, '{}', NULL)",
    )
    kit.fetch(engine, {0: kit.batch("a", "b")}, "replace")
    assert place.values() == {"a": "1", "b": "1"}


def test_replace_of_a_missing_table_creates_it(kit, place, engine):
    assert kit.fetch(engine, {0: kit.batch("a")}, "replace").total_rows == 1
    assert place.values() == {"a": "1"}


def test_replace_by_nothing_empties_the_table(kit, place, engine):
    kit.fetch(engine, {0: kit.batch("a")})
    assert engine.count("users") == 1
    kit.fetch(engine, {0: kit.batch()}, "replace")
    assert engine.count("users") == 0


def test_a_foreign_key_that_forbids_it_leaves_the_old_table(kit, place, engine):
    place.make(
        "CREATE TABLE users " + OURS,
        "INSERT INTO users VALUES ('old', '{\"v\":9}', NULL)",
        "CREATE TABLE child (u text REFERENCES users)",
        "INSERT INTO child VALUES ('old')",
    )
    load = engine.begin("users", "replace", kit.run_info("replace", total_pages=1))
    load.write(0, kit.batch("a"))
    with pytest.raises(StorageError, match=r"cannot publish table public\.users: .*foreign key"):
        load.commit()
    load.suspend()
    engine.close()
    assert place.values() == {"old": "9"}
    assert engine.interrupted("users") is not None


def test_readers_see_the_old_rows_or_the_new_ones_and_never_wait(kit, place, engine):
    kit.fetch(engine, {0: kit.batch(*map(str, range(3000)))})
    load = engine.begin("users", "replace", kit.run_info("replace", total_pages=1))
    load.write(0, kit.batch(*(f"new{n}" for n in range(5000)), value=2))
    seen, waits = set(), []
    with place.connect() as older, place.connect() as reader:
        older.autocommit = False
        older.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert older.execute("SELECT count(*) FROM users").fetchone() == (3000,)
        publishing = threading.Thread(target=load.commit)
        publishing.start()
        while publishing.is_alive():
            started = time.monotonic()
            seen.add(reader.execute("SELECT count(*), max(properties->>'v') FROM users").fetchone())
            waits.append(time.monotonic() - started)
        publishing.join()
        assert seen <= {(3000, "1"), (5000, "2")}
        assert max(waits) < 2
        assert older.execute("SELECT count(*) FROM users").fetchone() == (3000,)
        assert reader.execute("SELECT count(*) FROM users").fetchone() == (5000,)


@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
def test_a_table_held_by_others_is_waited_for_and_then_named(kit, place, engine, mode):
    kit.fetch(engine, {0: kit.batch("old")})
    load = engine.begin("users", mode, kit.run_info(mode, total_pages=1))
    load.write(0, kit.batch("a"))
    load._db.execute("SET lock_timeout = '100ms'")
    with place.connect() as writer, writer.transaction():
        writer.execute("UPDATE users SET last_seen = now()")
        with pytest.raises(StorageError, match="another transaction holds the table"):
            load.commit()
    load.commit()
    assert "a" in place.values()


@pytest.mark.parametrize("mode", ["append", "merge", "replace"])
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE VIEW users AS SELECT 1", "public.users is a view"),
        ("CREATE MATERIALIZED VIEW users AS SELECT 1", "is a materialized view"),
        ("CREATE SEQUENCE users", "is a sequence"),
        ("CREATE TYPE users AS (a int)", "is a type"),
        ("CREATE TABLE users (a int)", "column distinct_id is missing"),
        (
            "CREATE TABLE users (distinct_id int, properties jsonb, last_seen timestamptz)",
            "column distinct_id is integer, it must be text or character varying",
        ),
        (
            "CREATE TABLE users (distinct_id text, properties jsonb, last_seen timestamptz,"
            " x int NOT NULL)",
            "column x must not be NULL and has no default",
        ),
        (
            "CREATE TABLE users (distinct_id text, properties jsonb,"
            " last_seen timestamptz GENERATED ALWAYS AS (NULL) STORED)",
            "column last_seen is generated",
        ),
    ],
)
def test_a_table_that_cannot_take_part_is_refused_at_once(  # noqa: PLR0917
    kit, place, engine, mode, statement, message
):
    place.make(statement)
    for call in (engine.check, lambda *a: engine.begin(*a, kit.run_info(mode))):
        with pytest.raises(ConfigError, match=message) as caught:
            call("users", mode)
        assert str(caught.value).isprintable()
    assert place.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'mixpanel_fetch'") == [
        (0,)
    ]


@pytest.mark.parametrize(
    ("mode", "before", "meanwhile", "error"),
    [
        ("create", None, "CREATE TABLE users (a int)", TableExistsError),
        ("append", "CREATE TABLE users " + OURS, "DROP TABLE users", TableNotFoundError),
        ("append", "CREATE TABLE users " + OURS, "ALTER TABLE users DROP properties", ConfigError),
    ],
)
def test_a_table_that_changes_while_pages_land(  # noqa: PLR0917
    kit, place, engine, mode, before, meanwhile, error
):
    if before:
        place.make(before)
    load = engine.begin("users", mode, kit.run_info(mode))
    load.write(0, kit.batch("a"))
    place.make(meanwhile)
    with pytest.raises(error):
        load.commit()
    load.abort()
    engine.close()
    assert not place.staged()


def test_default_privileges_of_the_schema_hold_for_the_table(kit, place, engine):
    place.make(
        "CREATE ROLE reader_by_default",
        "CREATE SCHEMA sales",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA sales GRANT SELECT ON TABLES TO reader_by_default",
    )
    kit.fetch(engine, {0: kit.batch("a")}, table="sales.users")
    assert place.query(
        "SELECT has_table_privilege('reader_by_default', 'sales.users', 'SELECT')"
    ) == [(True,)]
    place.make("DROP OWNED BY reader_by_default", "DROP ROLE reader_by_default")
