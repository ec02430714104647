"""The sink ``jsonl`` in Mixpanel's own shapes: what was sent is in the lines, byte for byte."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mixpanel_fetch.batch import Batch, parse_instant
from mixpanel_fetch.decode import decode_page
from mixpanel_fetch.defaults.jsonl_sink import open_sink, register_sinks
from mixpanel_fetch.defaults.jsonl_sink.lines import profile_lines, update_lines
from mixpanel_fetch.secret import Secret
from mixpanel_fetch.simulator import RawProfile, awkward_profiles
from mixpanel_fetch.testing import hypotheses

MEMBERS = ["$distinct_id", "$properties"]
SEEN = datetime(2026, 1, 31, 12, 30, 1, tzinfo=timezone.utc)
TOKEN = "0123456789abcdef0123456789abcdef"
unhurried = settings(
    max_examples=40, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def lines_of(batch):
    return profile_lines(batch).splitlines()


def batch_of_lines(lines):
    """The batch of a page that answers with ``lines``."""
    page = b'{"page":0,"page_size":1000,"status":"ok","results":[%b]}' % b",".join(lines)
    batch, rejected = decode_page(page, 0).read()
    assert rejected == ()
    return batch


# As Mixpanel writes it, as others do, and what names no instant.
last_seens = (
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(
        lambda one: one.replace(microsecond=0).isoformat()
    )
    | hypotheses.instants().map(datetime.isoformat)
    | st.sampled_from(["2026-01-31 12:30:01", "2026-01-31T14:30:01+0200", "today", ""])
    | hypotheses.json_values()
)


@st.composite
def profiles(draw):
    profile = draw(hypotheses.profiles())
    if draw(st.booleans()):
        members = [*profile["$properties"].items()]
        members.insert(draw(st.integers(0, len(members))), ("$last_seen", draw(last_seens)))
        profile["$properties"] = dict(members)
    return profile


def meant(profile):
    """The profile with a ``$last_seen`` that names an instant as that instant."""
    properties = dict(profile["$properties"])
    seen = properties.get("$last_seen")
    if isinstance(seen, str):
        properties["$last_seen"] = parse_instant(seen) or seen
    return {**profile, "$properties": properties}


@unhurried
@given(
    st.lists(profiles(), max_size=5),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n\t", " :\n ")]),
    st.booleans(),
)
def test_a_line_is_the_profile_that_was_sent(sent, separators, ascii_only):
    texts = [json.dumps(one, separators=separators, ensure_ascii=ascii_only) for one in sent]
    received = [json.loads(line) for line in lines_of(batch_of_lines(map(str.encode, texts)))]
    assert [meant(one) for one in received] == [meant(one) for one in sent]
    assert [[*one] for one in received] == [MEMBERS] * len(sent)


@unhurried
@given(hypotheses.batches())
@example(Batch(["a"], [b" { } "], [SEEN]))
@example(Batch(["a"], [b'{"a":"{" }\n'], [SEEN]))
@example(Batch(["a"], [b'{"a":{}}'], [SEEN]))
@example(Batch(['"\\\0\u2028'], [b"{}"], [None]))
def test_the_lines_are_the_rows_again_when_they_are_sent(batch):
    again = batch_of_lines(lines_of(batch))
    assert [*again.rows()] == [*batch.rows()]


def test_a_line_has_mixpanels_members_and_mixpanels_time():
    properties = [b'{"n":1.10}', b"{}", b'{"$last_seen":"?"}']
    batch = Batch(["a", "b", "c"], properties, [SEEN, SEEN, None])
    assert profile_lines(batch) == (
        b'{"$distinct_id":"a","$properties":{"n":1.10,"$last_seen":"2026-01-31T12:30:01"}}\n'
        b'{"$distinct_id":"b","$properties":{"$last_seen":"2026-01-31T12:30:01"}}\n'
        b'{"$distinct_id":"c","$properties":{"$last_seen":"?"}}\n'
    )
    fraction = SEEN.replace(microsecond=250_000)
    assert b'"2026-01-31T12:30:01.250000"' in profile_lines(Batch(["a"], [b"{}"], [fraction]))


def test_values_keep_their_very_bytes():
    properties = (
        rb'{"f":1.10,"zero":-0,"big":123456789012345678901234567890,"nul":"\u0000\n",'
        rb'"a.b":1,"q\"q":2,"Key":3,"key":4,"deep":[ {"x": [null ]}],"{":"}'
        b'\xf0\x9f\x99\x82"'
    )
    [line] = lines_of(Batch(["a"], [properties + b"}"], [SEEN]))
    assert properties + b',"$last_seen":"2026-01-31T12:30:01"}' in line


def test_with_a_token_a_line_is_an_update_that_leaves_time_and_place_alone():
    batch = Batch(["a"], [b'{"n":1}'], [SEEN])
    [line] = update_lines(Secret(TOKEN), batch).splitlines()
    assert json.loads(line) == {
        "$token": TOKEN,
        "$distinct_id": "a",
        "$ip": "0",
        "$ignore_time": True,
        "$set": {"n": 1, "$last_seen": "2026-01-31T12:30:01"},
    }


@unhurried
@given(hypotheses.batches())
def test_an_update_sets_what_the_profile_holds(batch):
    updates = map(json.loads, update_lines(Secret(TOKEN), batch).splitlines())
    whole = map(json.loads, lines_of(batch))
    assert [[one["$distinct_id"], one["$set"]] for one in updates] == [
        [*one.values()] for one in whole
    ]


def test_an_engine_shows_no_token():
    assert TOKEN not in repr(vars(open_sink("-", raw=True, token=TOKEN)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("raw=perhaps", "raw: not a valid boolean"),
        (f"token={TOKEN}", "token: goes with raw=true only"),
        (f"raw=false&token={TOKEN}", "token: goes with raw=true only"),
        ("raw=true&token=", "token: shorter than minimum length 1"),
        ("row=true", "row: unknown field"),
    ],
)
def test_options_that_cannot_be_are_one_line(mp, small_project, options, words):
    done = mp("fetch", "profiles", "--to", f"jsonl://x?{options}")
    assert words in done.err
    assert TOKEN not in done.err + done.out
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert small_project.stats.received == 0


# The whole way


@pytest.fixture
def small_project(engage_simulator, environment_of, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    simulator = engage_simulator(profiles=3)
    environment_of(simulator)
    return simulator


def rows_in(path):
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return sorted(rows, key=lambda row: row["distinct_id"])


def test_what_is_fetched_raw_and_served_again_are_the_same_rows(
    engage_simulator, environment_of, mp, tmp_path
):
    first, raw, second = (tmp_path / name for name in ("first", "raw", "second"))
    environment_of(engage_simulator(profiles=[*awkward_profiles(300)], page_size=50))
    assert mp("fetch", "profiles", "-p", "--to", f"jsonl:///{first}", "-q").code == 0
    assert mp("fetch", "profiles", "-p", "--to", f"jsonl:///{raw}", "--raw", "-q").code == 0
    served = [RawProfile(line) for line in raw.read_bytes().splitlines()]
    environment_of(engage_simulator(profiles=served, page_size=50))
    assert mp("fetch", "profiles", "-p", "--to", f"jsonl:///{second}", "-q").code == 0
    assert rows_in(second) == rows_in(first)
    assert len(served) == 300


@pytest.mark.usefixtures("small_project")
def test_raw_is_an_option_of_the_sink(mp):
    ways = [
        ("--raw", "--to", "jsonl://-"),
        ("-o", "raw=true", "--to", "jsonl://-"),
        ("--to", "jsonl://-?raw=true"),
    ]
    first, *others = [mp("fetch", "profiles", *way).out for way in ways]
    assert others == [first, first]
    assert [[*json.loads(line)] for line in first.splitlines()] == [MEMBERS] * 3


def test_raw_is_refused_by_a_sink_that_has_no_other_shape(mp, small_project):
    done = mp("fetch", "profiles", "--raw", "--to", "duckdb:///x.duckdb")
    assert done.err == (
        "mp: no plugin of this run has an option 'raw';"
        " there are checkpoint_threshold, index, memory_limit, threads\n"
    )
    assert (done.code, small_project.stats.received) == (3, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--to", f"jsonl://x?raw=true&token={TOKEN}"),
        ("--to", "jsonl://x", "--raw", "-o", f"token={TOKEN}"),
        ("--to", "jsonl://x", "--raw"),
    ],
    ids=["uri", "option", "environment"],
)
@pytest.mark.usefixtures("small_project")
def test_a_token_is_in_the_lines_and_nowhere_else(mp, monkeypatch, arguments):
    if TOKEN not in " ".join(arguments):
        monkeypatch.setenv("MP_PLUGIN_JSONL_TOKEN", TOKEN)
    done = mp("fetch", "profiles", "-vv", *arguments)
    assert done.code == 0
    assert TOKEN not in done.out + done.err
    lines = Path("x").read_bytes().splitlines()
    assert [json.loads(line)["$token"] for line in lines] == [TOKEN] * 3


def test_mp_plugins_show_tells_of_both_options(mp):
    [sink] = json.loads(mp("plugins", "show", "jsonl", "--json").out)
    shown = {option["name"]: option for option in sink["options"]}
    assert shown["raw"]["default"] is False
    assert shown["token"]["secret"]
    assert all(option["description"] for option in shown.values())
    [spec] = register_sinks()
    assert set(spec.options().fields) == set(shown)
