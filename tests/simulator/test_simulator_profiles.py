from __future__ import annotations

import json
from collections import Counter
from datetime import datetime

import pytest

from mixpanel_fetch.simulator import (
    EngageSimulator,
    RawProfile,
    SimulatorConfig,
    SyntheticProfiles,
    awkward_profiles,
)
from mixpanel_fetch.simulator.selection import Shuffled


@pytest.mark.parametrize(("kind", "count", "size"), [("narrow", 21, 650), ("wide", 73, 1950)])
def test_synthetic_profiles_have_their_size(kind, count, size):
    profiles = SyntheticProfiles(500, kind)
    assert {len(profile["$properties"]) for profile in profiles} == {count}
    mean = sum(len(profiles.encoded(index)) for index in range(500)) / 500
    assert abs(mean - size) < 0.08 * size


def test_synthetic_profiles_are_the_same_every_time():
    first, again = SyntheticProfiles(200), SyntheticProfiles(10**9)
    assert list(first) == again[:200]
    assert first[0] != SyntheticProfiles(200, seed=2)[0]


def test_synthetic_profiles_behave_as_a_sequence():
    profiles = SyntheticProfiles(10)
    assert len(profiles) == 10
    assert profiles[-1] == profiles[9]
    assert profiles[2:4] == [profiles[2], profiles[3]]
    assert profiles.distinct_id(3) == profiles[3]["$distinct_id"]
    assert repr(profiles) == "SyntheticProfiles(10, kind='narrow', seed=1)"
    for index in (10, -11):
        with pytest.raises(IndexError):
            profiles[index]


def test_synthetic_ids_are_unique():
    profiles = SyntheticProfiles(20_000)
    assert len({profiles.distinct_id(index) for index in range(20_000)}) == 20_000


def test_synthetic_plans_are_believable():
    plans = Counter(profile["$properties"]["plan"] for profile in SyntheticProfiles(3000))
    ranked = [plan for plan, _ in plans.most_common()]
    assert ranked == ["free", "starter", "business", "trial", "enterprise"]


def test_synthetic_values_are_what_they_say():
    for profile in SyntheticProfiles(300, "wide"):
        properties = profile["$properties"]
        created = datetime.fromisoformat(properties["$created"])
        seen = datetime.fromisoformat(properties["$last_seen"])
        assert created.date() <= seen.date()
        assert properties["$email"].endswith("@example.com")
        assert len(properties["$country_code"]) == 2
        assert isinstance(properties["tags"], list)
        assert isinstance(properties["company"], dict)
        assert isinstance(properties["lifetime_value"], float)
        assert isinstance(properties["trial"], bool)
        if properties["plan"] == "free":
            assert properties["lifetime_value"] == 0


def test_synthetic_arguments_are_checked():
    with pytest.raises(ValueError, match="negative"):
        SyntheticProfiles(-1)
    with pytest.raises(ValueError, match="narrow, wide"):
        SyntheticProfiles(1, "tall")


def test_config_is_checked():
    for change in (
        {"kind": "tall"},
        {"auth_failure_status": 404},
        {"page_size": 0},
        {"latency": -1},
        {"profiles": -1},
        {"order": "random"},
    ):
        with pytest.raises(ValueError, match=next(iter(change))):
            SimulatorConfig(**change)


def test_awkward_profiles_are_legal_and_have_ids_of_their_own():
    profiles = awkward_profiles()
    assert len(profiles) == 3200
    ids = [json.dumps(profile.value["$distinct_id"]) for profile in profiles]
    assert len(set(ids)) == 3200
    assert len({identifier.strip('"') for identifier in ids}) == 3200
    for profile in profiles[:150]:
        assert json.loads(profile.raw) == profile.value
        assert b"\n" not in profile.raw


def test_awkward_profiles_are_odd_in_many_ways():
    profiles = awkward_profiles(200)
    notes = {profile.note for profile in profiles}
    assert len(notes) > 85
    texts = b"".join(profile.raw for profile in profiles)
    for oddity in (
        b"18446744073709551617",
        b":-0,",
        b"1.10",
        b"1e308",
        rb"\ud800",
        rb"\u0000",
        b'"":',
        "\U0001f468".encode(),
        b"[" * 60,
        b"k" * 300,
        b"x" * 70_000,
        b'"$properties":null',
        b'"distinct_id":',
        b'"infinity"',
        b'"epoch"',
        b"<null>",
        b"$device:",
    ):
        assert oddity in texts or oddity.replace(b",", b"}") in texts
    types = {type(p.value["$properties"]["mixed"]) for p in profiles if p.note.startswith("type")}
    assert len(types) == 7


def test_awkward_rows_are_served_byte_for_byte(client):
    rows = awkward_profiles(320)
    with EngageSimulator(profiles=rows, page_size=160) as simulator:
        first = client.ask(simulator)
        second = client.ask(simulator, page=1, session_id=first.json()["session_id"])
    for response, part in ((first, rows[:160]), (second, rows[160:])):
        assert b'"results": [' + b",".join(row.raw for row in part) + b"]}" in response.content


def test_profiles_are_mappings_bytes_or_raw(client):
    profiles = [
        {"$distinct_id": "mapping", "$properties": {"text": "\ud800"}},
        b'{"$distinct_id": "bytes"}',
        RawProfile(b'{"$distinct_id": "raw"}', "note"),
    ]
    with EngageSimulator(profiles=profiles) as simulator:
        assert client.ids(simulator) == ["mapping", "bytes", "raw"]
        assert client.ids(simulator, distinct_ids='["raw", "bytes"]') == ["bytes", "raw"]
        assert client.ids(simulator, where='defined(properties["text"])') == ["mapping"]


def test_where_over_awkward_profiles_never_fails(client):
    rows = awkward_profiles(110)
    with EngageSimulator(profiles=rows) as simulator:
        found = client.rows(simulator, where='datetime(properties["$last_seen"]) > datetime(1)')
        assert 5 < len(found) < 30
        assert len(client.rows(simulator, where='not properties["n"] > 0')) < 110


@pytest.mark.parametrize("count", [0, 1, 2, 10, 97, 1000])
def test_shuffled_has_every_number_once(count):
    for seed in range(5):
        assert sorted(Shuffled(count, seed)) == list(range(count))
    shuffled = Shuffled(count, 3)
    assert len(shuffled) == count
    assert shuffled[:2] == list(shuffled)[:2]
    with pytest.raises(IndexError):
        shuffled[count]
