from __future__ import annotations

import duckdb
import pytest

from mixpanel_fetch.defaults.duckdb_sink import publish
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.defaults.duckdb_sink.options import DuckDBOptions
from mixpanel_fetch.errors import ConfigError, StorageError, TableExistsError, TableNotFoundError

OURS = "(distinct_id VARCHAR PRIMARY KEY, properties JSON, last_seen TIMESTAMP)"
KEY = ", PRIMARY KEY(distinct_id)"
BARE = "(distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP)"


@pytest.fixture(params=["auto", "none", "primary"])
def index(request):
    return request.param


def definition(kit, path):
    ((sql,),) = kit.query(path, "SELECT sql FROM duckdb_tables() WHERE table_name = 'users'")
    return sql.replace(" USING COMPRESSION ZSTD", "")


def test_create_makes_the_table_of_the_documentation(kit, path, index):
    engine = DuckDBEngine(path, index=index)
    report = kit.fetch(engine, {1: kit.batch("c"), 0: kit.batch("a", "b")})
    assert (report.total_rows, report.inserted, report.updated) == (3, 3, 0)
    kind, key = ("VARCHAR NOT NULL", "") if index == "none" else ("VARCHAR", KEY)
    assert definition(kit, path) == (
        f"CREATE TABLE users(distinct_id {kind}, properties JSON, last_seen TIMESTAMP{key});"
    )
    assert kit.query(path, "SHOW TABLES") == [("users",)]
    assert kit.values(path) == {"a": "1", "b": "1", "c": "1"}


@pytest.mark.parametrize(("rows", "keyed"), [(3, True), (4, False)])
def test_a_large_table_has_no_key_unless_asked_for(kit, path, monkeypatch, rows, keyed):
    monkeypatch.setattr(publish, "KEY_UP_TO", 3)
    pages = {0: kit.batch("twice"), 1: kit.batch("twice", *map(str, range(rows - 1)))}
    for mode in ("create", "replace"):
        kit.fetch(DuckDBEngine(path), pages, mode)
        assert (KEY in definition(kit, path)) == keyed
        assert len(kit.values(path)) == rows
    kit.fetch(DuckDBEngine(path, index="primary"), pages, "replace", run_id="again")
    assert KEY in definition(kit, path)


def test_what_is_large_is_what_the_option_says():
    for told in (DuckDBOptions, DuckDBEngine):
        assert f"at most {publish.KEY_UP_TO:,} rows" in " ".join((told.__doc__ or "").split())


@pytest.mark.parametrize("index", ["unique", ""])
def test_another_index_is_refused(path, index):
    with pytest.raises(ConfigError, match="index: Must be one of: auto, none, primary"):
        DuckDBEngine(path, index=index)


@pytest.mark.parametrize("own", [None, "CREATE UNIQUE INDEX mine ON users (distinct_id)"])
def test_rows_that_came_twice_are_gone_for_an_index_whatever_else_is_open(kit, path, own):
    """DuckDB finds rows that were deleted, too, as long as another transaction is open."""
    kit.make(path, "CREATE TABLE users " + BARE, *([own] if own else []))
    with duckdb.connect(str(path)) as host, host.cursor() as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM users").fetchall()
        engine = DuckDBEngine(connection=host, index="none" if own else "primary")
        report = kit.fetch(engine, {0: kit.batch("a", "b"), 1: kit.batch("b")}, "replace")
        other.execute("COMMIT")
        assert (report.total_rows, report.duplicate_rows) == (2, 1)
        with pytest.raises(duckdb.ConstraintException):
            host.execute("INSERT INTO users (distinct_id) VALUES ('b')")
    assert kit.values(path) == {"a": "1", "b": "1"}


def test_the_later_page_wins_whatever_order_pages_arrive_in(kit, path, index):
    pages = {
        2: kit.batch("x", "y", value="two"),
        0: kit.batch("x", "z", "z", value="zero"),
        1: kit.batch("y", "q", value="one"),
    }
    report = kit.fetch(DuckDBEngine(path, index=index), pages)
    assert kit.values(path) == {"x": "two", "y": "two", "z": "zero", "q": "one"}
    assert (report.total_rows, report.duplicate_rows) == (4, 3)


def test_within_a_page_the_later_row_wins(kit, path, index):
    rows = [{"distinct_id": "a", "properties": {"v": n}} for n in range(5)]
    engine = DuckDBEngine(path, index=index)
    report = kit.fetch(engine, {0: kit.Batch.from_rows(rows)}, batch_size=2)
    assert kit.values(path) == {"a": "4"}
    assert (report.total_rows, report.duplicate_rows) == (1, 4)


def test_create_refuses_an_existing_table_whatever_its_case(kit, path):
    kit.make(path, 'CREATE TABLE "Users" (a INT)')
    with pytest.raises(TableExistsError, match="table users exists; use --append") as caught:
        DuckDBEngine(path).check("users", "create")
    assert caught.value.exit_code == 3
    engine = DuckDBEngine(path)
    with pytest.raises(TableExistsError):
        engine.begin("users", "create", kit.run_info())
    engine.close()
    assert kit.query(path, "SELECT count(*) FROM duckdb_tables()") == [(1,)]


def test_case_counts_beyond_ascii_as_in_the_catalog(kit, path):
    kit.make(path, 'CREATE TABLE "É" (a INT)')
    kit.fetch(DuckDBEngine(path), {0: kit.batch("a")}, table="é")
    assert kit.values(path, '"é"') == {"a": "1"}


def test_append_to_a_missing_table_is_refused(kit, path):
    with pytest.raises(TableNotFoundError):
        DuckDBEngine(path).check("users", "append")
    assert not path.exists()
    kit.make(path, "CREATE TABLE other (a INT)")
    engine = DuckDBEngine(path)
    with pytest.raises(TableNotFoundError):
        engine.check("users", "append")
    engine.close()


@pytest.mark.parametrize("mode", ["append", "merge"])
@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE users " + OURS,
        "CREATE TABLE users " + BARE,
        "CREATE TABLE users (extra INT DEFAULT 7, last_seen TIMESTAMP, properties VARCHAR,"
        " distinct_id VARCHAR)",
    ],
)
def test_upsert_keeps_other_rows_and_counts_new_and_old(kit, path, mode, table):
    kit.make(
        path,
        table,
        "CREATE INDEX i ON users (last_seen)",
        "INSERT INTO users (distinct_id, properties) VALUES ('a', '{\"v\":0}'), ('k', '{\"v\":0}')",
    )
    report = kit.fetch(
        DuckDBEngine(path),
        {0: kit.batch("a", "b", "b"), 1: kit.batch("a", value=2), 2: kit.batch()},
        mode,
    )
    assert kit.values(path) == {"a": "2", "b": "1", "k": "0"}
    assert (report.total_rows, report.inserted, report.updated) == (2, 1, 1)
    assert report.duplicate_rows == 2
    if "extra" in table:
        assert kit.query(path, "SELECT DISTINCT extra FROM users") == [(7,)]
    assert not kit.staged(path)


def test_a_large_upsert_goes_in_portions(kit, path, monkeypatch):
    monkeypatch.setattr(publish, "_PORTION", 3)
    kit.fetch(DuckDBEngine(path), {0: kit.batch("old", "p1", value=0)})
    pages = {page: kit.batch(f"p{page}", "same", value=page) for page in range(9)}
    report = kit.fetch(DuckDBEngine(path), pages, "append")
    assert (report.inserted, report.updated, report.duplicate_rows) == (9, 1, 8)
    expected = {f"p{page}": str(page) for page in range(9)}
    assert kit.values(path) == {**expected, "same": "8", "old": "0"}


def test_appending_the_same_again_changes_nothing(kit, path):
    kit.fetch(DuckDBEngine(path), {0: kit.batch("a", "b")})
    report = kit.fetch(DuckDBEngine(path), {0: kit.batch("a", "b")}, "append")
    assert (report.inserted, report.updated, report.total_rows) == (0, 2, 2)
    assert len(kit.values(path)) == 2


def test_merge_makes_a_missing_table(kit, path):
    report = kit.fetch(DuckDBEngine(path), {0: kit.batch("a", "a")}, "merge")
    assert (report.inserted, report.updated, report.duplicate_rows) == (1, 0, 1)


def test_upsert_into_a_table_that_another_refers_to(kit, path):
    kit.make(
        path,
        "CREATE TABLE users " + OURS,
        "INSERT INTO users VALUES ('a', '{}', NULL)",
        "CREATE TABLE child (u VARCHAR REFERENCES users (distinct_id))",
        "INSERT INTO child VALUES ('a')",
    )
    kit.fetch(DuckDBEngine(path), {0: kit.batch("a", "b")}, "append")
    assert kit.values(path) == {"a": "1", "b": "1"}


@pytest.mark.parametrize("name", ["users", "USERS"])
def test_replace_keeps_indexes_comments_and_views(kit, path, name, index):
    kit.make(
        path,
        "CREATE TABLE users (distinct_id VARCHAR, last_seen TIMESTAMP, properties JSON, x INT)",
        "INSERT INTO users VALUES ('old', NULL, '{}', 1)",
        "CREATE INDEX seen ON users (last_seen)",
        'CREATE UNIQUE INDEX "lo""w" ON users (lower(distinct_id))',
        "COMMENT ON TABLE users IS 'it''s mine'",
        "COMMENT ON COLUMN users.properties IS 'props'",
        "COMMENT ON COLUMN users.x IS 'gone'",
        "COMMENT ON INDEX seen IS 'fast'",
        "CREATE VIEW v AS SELECT distinct_id FROM users",
    )
    pages = {0: kit.batch("a", "b", "a")}
    report = kit.fetch(DuckDBEngine(path, index=index), pages, "replace", name)
    assert (report.total_rows, report.inserted, report.duplicate_rows) == (2, 2, 1)
    assert sorted(kit.query(path, "SELECT * FROM v")) == [("a",), ("b",)]
    assert sorted(kit.query(path, "SELECT index_name, comment FROM duckdb_indexes()")) == [
        ('lo"w', None),
        ("seen", "fast"),
    ]
    assert kit.query(path, "SELECT comment FROM duckdb_tables() WHERE table_name = 'users'") == [
        ("it's mine",)
    ]
    assert kit.query(
        path,
        "SELECT column_name, comment FROM duckdb_columns()"
        " WHERE table_name = 'users' AND comment IS NOT NULL",
    ) == [("properties", "props")]


def test_replace_of_a_missing_table_creates_it(kit, path):
    kit.fetch(DuckDBEngine(path), {0: kit.batch("a")}, "replace")
    assert kit.values(path) == {"a": "1"}


@pytest.mark.parametrize(
    ("mode", "statements", "message"),
    [
        (
            "replace",
            [
                "CREATE TABLE users " + OURS,
                "CREATE TABLE c (u VARCHAR REFERENCES users (distinct_id))",
            ],
            "cannot replace users: Could not drop the table",
        ),
        (
            "replace",
            ["CREATE TABLE users (distinct_id VARCHAR, x INT)", "CREATE INDEX i ON users (x)"],
            "cannot replace users",
        ),
        ("create", ["CREATE VIEW users AS SELECT 1"], "users is a view"),
        ("append", ["CREATE TABLE users (a INT)"], "column distinct_id is missing"),
        (
            "merge",
            ["CREATE TABLE users (distinct_id INT, properties JSON, last_seen TIMESTAMP)"],
            "column distinct_id is INTEGER, it must be VARCHAR",
        ),
        (
            "merge",
            [
                "CREATE TABLE users"
                " (distinct_id VARCHAR, properties JSON, last_seen TIMESTAMP, x INT NOT NULL)"
            ],
            "column x must not be NULL",
        ),
        (
            "append",
            [
                "CREATE TABLE users"
                " (distinct_id VARCHAR, properties STRUCT(a INT), last_seen TIMESTAMP)"
            ],
            r"column properties is STRUCT",
        ),
    ],
)
def test_a_table_that_cannot_take_part_is_refused_at_once(kit, path, mode, statements, message):
    kit.make(path, *statements)
    before = kit.query(path, "SELECT table_name, sql FROM duckdb_tables()")
    for attempt in ("check", "begin"):
        engine = DuckDBEngine(path)
        arguments = ("users", mode, kit.run_info(mode))[: 2 if attempt == "check" else 3]
        with pytest.raises(ConfigError, match=message) as caught:
            getattr(engine, attempt)(*arguments)
        engine.close()
        assert "\n" not in str(caught.value)
    assert kit.query(path, "SELECT table_name, sql FROM duckdb_tables()") == before


def test_a_unique_index_that_the_new_rows_break_leaves_the_old_table(kit, path):
    kit.make(
        path,
        "CREATE TABLE users " + OURS,
        "INSERT INTO users VALUES ('old', '{}', NULL)",
        "CREATE UNIQUE INDEX u ON users (last_seen)",
    )
    engine = DuckDBEngine(path)
    load = engine.begin("users", "replace", kit.run_info("replace", total_pages=1))
    load.write(0, kit.batch("a", "b"))
    with pytest.raises(StorageError, match="cannot publish table users"):
        load.commit()
    load.suspend()
    engine.close()
    assert kit.query(path, "SELECT distinct_id FROM users") == [("old",)]
    assert engine.interrupted("users") is not None


@pytest.mark.parametrize(
    ("mode", "before", "meanwhile", "error"),
    [
        ("create", None, "CREATE TABLE users (a INT)", TableExistsError),
        ("append", "CREATE TABLE users " + OURS, "DROP TABLE users", TableNotFoundError),
    ],
)
def test_a_table_that_changes_while_pages_land(kit, mode, before, meanwhile, error):
    host = duckdb.connect()
    if before:
        host.execute(before)
    engine = DuckDBEngine(connection=host)
    load = engine.begin("users", mode, kit.run_info(mode))
    load.write(0, kit.batch("a"))
    host.execute(meanwhile)
    with pytest.raises(error):
        load.commit()
    load.abort()
    engine.close()
    assert host.execute("SELECT table_name FROM duckdb_tables()").fetchall() == (
        [("users",)] if mode == "create" else []
    )
    host.close()


def test_the_schema_is_created_by_nobody(kit, path):
    kit.make(path, 'CREATE SCHEMA "My Sales"')
    kit.fetch(DuckDBEngine(path), {0: kit.batch("a")}, table="my sales.Users")
    assert kit.values(path, '"My Sales".users') == {"a": "1"}
    engine = DuckDBEngine(path)
    with pytest.raises(ConfigError, match="there is no schema nowhere"):
        engine.check("nowhere.users", "create")
    engine.close()
    with pytest.raises(ConfigError, match="no schema s"):
        DuckDBEngine(path.with_name("none.db")).check("s.users", "create")


def test_a_schema_called_like_the_file_is_not_ambiguous(kit, tmp_path):
    path = tmp_path / "sales.db"
    kit.make(path, "CREATE SCHEMA sales")
    for mode in ("create", "append", "replace"):
        kit.fetch(DuckDBEngine(path), {0: kit.batch("a")}, mode, table="sales.users")
    assert kit.values(path, "sales.sales.users") == {"a": "1"}
