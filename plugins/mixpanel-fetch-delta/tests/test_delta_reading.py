"""What ``mp tables``, ``mp sql`` and ``mp inspect`` see of a lake."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from mixpanel_fetch.errors import ConfigError


def test_tables_are_told_by_name_with_their_columns(kit, place):
    for name in ("b", "a"):
        kit.fetch(place.engine(), {0: kit.batch("x", "y")}, table=name)
    found = place.engine().tables()
    assert [(one.name, one.rows, one.holds_profiles) for one in found] == [
        ("a", 2, True),
        ("b", 2, True),
    ]
    assert found[0].columns == (
        ("distinct_id", "string"),
        ("properties", "string"),
        ("last_seen", "timestamp"),
    )


def test_a_query_reads_the_newest_version_of_several_tables(kit, place):
    kit.fetch(place.engine(), {0: kit.batch("x", value=1)}, table="one")
    kit.fetch(place.engine(), {0: kit.batch("x", value=2)}, "replace", table="one")
    kit.fetch(place.engine(), {0: kit.batch("x", value=3)}, table="two")
    engine = place.engine()
    answer = engine.query(
        "SELECT one.properties->>'v' AS v, two.properties->>'v' AS w, one.last_seen"
        " FROM one JOIN two USING (distinct_id)"
    )
    assert list(answer.columns) == ["v", "w", "last_seen"]
    assert list(answer) == [("2", "3", kit.SEEN.replace(tzinfo=None))]
    engine.close()


def test_an_empty_table_can_be_asked(kit, folder):
    kit.fetch(folder.engine(), {}, total_pages=0)
    engine = folder.engine()
    assert list(engine.query("SELECT count(*) FROM users")) == [(0,)]
    assert engine.inspect("users").rows == 0
    engine.close()


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("CREATE TABLE x (a INT)", "CREATE does more than read"),
        ("COPY users TO 'x.csv'", "COPY does more than read"),
        ("SELECT 1; SELECT 2", "one statement at a time, not 2"),
        ("", "the query is empty"),
        ("SELECT * FROM read_csv('{outside}')", "Permission Error"),
        ("SELECT * FROM nowhere", "Table with name nowhere does not exist"),
    ],
)
def test_a_query_reads_the_tables_and_nothing_else(kit, folder, tmp_path, sql, words):
    kit.fetch(folder.engine(), {0: kit.batch("a")})
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    engine = folder.engine()
    with pytest.raises(ConfigError, match=words):
        list(engine.query(sql.format(outside=outside)))
    engine.close()
    assert sorted(one.name for one in Path(folder.url).iterdir()) == ["_mixpanel_fetch", "users"]


def test_a_missing_table_is_named_with_one_like_it(kit, folder, refused):
    from mixpanel_fetch.errors import TableNotFoundError

    kit.fetch(folder.engine(), {0: kit.batch("a")})
    message = refused(folder.engine().inspect, "user", kind=TableNotFoundError)
    assert "did you mean users?" in message


@pytest.mark.parametrize("name", ["ünï côdé", "it's", "[x]*?", "a#b&c", 'say "hi"'])
def test_a_lake_may_be_called_what_a_folder_may(kit, tmp_path, name):
    place = kit.Place(quote(f"{tmp_path}/{name}"), f"{tmp_path}/{name}")
    kit.fetch(place.engine(), {0: kit.batch("a", "b")}, table="a.b-c")
    kit.fetch(place.engine(), {0: kit.batch("b", "c", value=2)}, "merge", table="a.b-c")
    assert place.values("a.b-c") == {"a": 1, "b": 2, "c": 2}
    engine = place.engine()
    assert list(engine.query('SELECT count(*) FROM "a.b-c"')) == [(3,)]
    engine.close()
