"""How pages land in DuckDB: several at once, compressed, and with what the run asked for."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import duckdb
import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.defaults.duckdb_sink.database import Database
from mixpanel_fetch.defaults.duckdb_sink.engine import DuckDBEngine
from mixpanel_fetch.errors import StorageError


@pytest.fixture
def load(kit, path):
    engine = DuckDBEngine(path)
    yield engine.begin("users", "create", kit.run_info(total_pages=4))
    engine.close()


def raw_batch(*texts):
    return Batch([f"id{i}" for i in range(len(texts))], list(texts), [None] * len(texts))


def test_pages_that_come_together_land_together(kit, path, load):
    pages = [(2, kit.batch("a", "b")), (0, kit.batch("c")), (3, kit.batch())]
    assert load.write_pages(pages) == [2, 1, 0]
    assert load.landed_pages() == {0, 2, 3}
    assert load.write(1, kit.batch("d")) == 1
    report = load.commit()
    assert (report.total_rows, report.duplicate_rows) == (4, 0)


def test_one_commit_is_made_for_all_of_them(kit, path, load, monkeypatch):
    begun = []
    transaction = Database.transaction
    monkeypatch.setattr(Database, "transaction", lambda db: (begun.append(1), transaction(db))[1])
    load.write_pages([(i, kit.batch(f"a{i}", f"b{i}")) for i in range(4)])
    assert len(begun) == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_ids_that_repeat_in_a_group_are_settled_by_page_number(kit, path, load, order):
    load.write_pages([(i, kit.batch("same", f"own{i}", value=i)) for i in order])
    load.write(3, kit.batch("last", value=3))
    report = load.commit()
    assert (report.total_rows, report.duplicate_rows) == (5, 2)
    assert kit.values(path) == {"same": "2", "own0": "0", "own1": "1", "own2": "2", "last": "3"}


def test_a_page_that_cannot_be_stored_is_named_and_those_before_it_have_landed(kit, load):
    pages = [(0, kit.batch("a")), (1, raw_batch(b'{"v":1}', b"no json")), (2, kit.batch("b"))]
    with pytest.raises(StorageError, match=r"page 1, row 1 \(id1\): its properties are not JSON"):
        load.write_pages(pages)
    assert load.landed_pages() == {0}
    assert load.write(2, kit.batch("b")) == 1


def test_a_value_that_must_be_mended_costs_no_page_of_its_group(kit, path, load):
    pages = [(0, kit.batch("a")), (1, raw_batch(b'{"v":"\\ud800"}')), (2, kit.batch("b"))]
    assert load.write_pages(pages) == [1, 1, 1]
    load.write(3, kit.batch())
    assert load.commit().repaired_values == 1
    assert kit.values(path) == {"a": "1", "id0": "\ufffd", "b": "1"}


@pytest.mark.parametrize("text", [b'{"v":"a\x1eb"}', b"{}\x1e{}", b"\x1e", b""])
def test_the_separator_of_rows_cannot_come_in_with_a_row(kit, load, text):
    with pytest.raises(StorageError, match=r"page 0, row 1 \(id1\): its properties are not JSON"):
        load.write(0, raw_batch(b"{}", text, b"{}"))
    assert load.landed_pages() == frozenset()


def test_blanks_between_the_tokens_stay(kit, path, load):
    text = b'{\n\t"v" : [1.10, -0],\r\n "w": "\\u001e"}'
    load.write(0, raw_batch(text))
    load.commit()
    assert kit.query(path, "SELECT properties FROM users") == [(text.decode(),)]


def test_properties_are_compressed_where_the_files_format_can(kit, path):
    rows = [{"distinct_id": str(n), "properties": {"v": f"value {n} " * 9}} for n in range(9000)]
    kit.fetch(DuckDBEngine(path), {0: Batch.from_rows(rows)})
    with duckdb.connect(str(path)) as connection:
        knows_zstd = Database(connection.cursor(), {}).has_zstd()
        used = connection.execute(
            "SELECT DISTINCT compression FROM pragma_storage_info('users')"
            " WHERE column_name = 'properties' AND segment_type = 'JSON'"
            " OR column_name = 'properties' AND segment_type = 'VARCHAR'"
        ).fetchall()
    assert (("ZSTD",) in used) == knows_zstd
    assert kit.values(path)["7"] == "value 7 " * 9


@pytest.mark.parametrize(
    ("version", "knows"),
    [("v1.0.0+", False), ("v1.1.2", False), ("v1.2.0", True), ("v2.0.0+", True), ("odd", False)],
)
def test_zstd_needs_a_format_of_1_2(kit, path, version, knows, monkeypatch):
    with duckdb.connect(str(path)) as connection:
        db = Database(connection.cursor(), {})
        monkeypatch.setattr(db, "value", lambda *_: {"storage_version": version})
        assert db.has_zstd() == knows


def test_a_database_without_a_format_has_no_zstd():
    with duckdb.connect() as connection:
        assert not Database(connection.cursor(), {}).has_zstd()


@pytest.mark.parametrize("asked", [None, 5000])
def test_the_page_size_that_was_asked_for_is_on_record(kit, path, asked):
    engine = DuckDBEngine(path)
    run = kit.run_info(asked_page_size=asked)
    engine.begin("users", "create", run).write(0, kit.batch("a"))
    engine.close()
    assert engine.interrupted("users").asked_page_size == asked
    assert engine.runs()[0].info.page_size == 5


def test_instants_keep_their_microseconds(kit, path, load):
    seen = [datetime(1, 1, 1, tzinfo=timezone.utc), kit.SEEN, None]
    load.write(0, Batch(["a", "b", "c"], [b"{}"] * 3, seen))
    load.commit()
    rows = kit.query(path, "SELECT last_seen FROM users ORDER BY distinct_id")
    assert [row[0] for row in rows] == [
        None if one is None else one.replace(tzinfo=None) for one in seen
    ]
    assert json.loads(kit.query(path, "SELECT properties FROM users LIMIT 1")[0][0]) == {}
