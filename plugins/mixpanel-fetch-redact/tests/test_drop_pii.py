from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest
from mixpanel_fetch_redact import make_drop_pii
from mixpanel_fetch_redact.personal import PERSONAL

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError

SEEN = datetime(2026, 1, 31, tzinfo=timezone.utc)


def test_every_property_of_the_list_goes_and_no_other(apply) -> None:
    others = {"plan": "pro", "email": "mine", "$created": "2026", "$os": "x", "$browser": "y"}
    before = {name: f"secret {name}" for name in PERSONAL} | others
    assert json.loads(apply(make_drop_pii(None), json.dumps(before).encode())) == others


def test_names_match_in_whatever_case(apply) -> None:
    before = b'{"$Email":"e","$EMAIL":null,"$email":{"x":1},"plan":1}'
    assert apply(make_drop_pii(None), before) == b'{"plan":1}'
    assert apply(make_drop_pii(None, match_case=True), before) == (
        b'{"$Email":"e","$EMAIL":null,"plan":1}'
    )


def test_more_can_go(apply) -> None:
    before = b'{"$email":1,"birthday":2,"address":{"street":3,"city":4},"d":[{"ip":5,"os":6}]}'
    transform = make_drop_pii(None, also="birthday,address.street,d[].ip")
    assert apply(transform, before) == b'{"address":{"city":4},"d":[{"os":6}]}'


def test_where_a_path_cannot_go_on_the_value_goes(apply) -> None:
    before = b'{"address":"Main Street","d":["1.2.3.4",null,{"ip":5},[6]],"n":null}'
    transform = make_drop_pii(None, also="address.street,d[].ip,n.x")
    assert apply(transform, before) == b'{"d":[null,{},[]],"n":null}'


def test_some_of_the_list_can_stay(apply) -> None:
    before = b'{"$email":1,"$city":2,"$timezone":3}'
    assert apply(make_drop_pii(None, keep="$city, $timezone"), before) == (
        b'{"$city":2,"$timezone":3}'
    )


@pytest.mark.parametrize("keep", ["plan", "$emial", "$email.x", "$email[]"])
def test_only_what_is_on_the_list_can_stay(keep: str) -> None:
    with pytest.raises(ConfigError, match="is none of the properties that it drops"):
        make_drop_pii(None, keep=keep)


def test_last_seen_goes_if_it_is_named() -> None:
    batch = Batch(["u"], [b'{"$last_seen":"soon","$email":1}'], [SEEN])
    assert make_drop_pii(None)(batch) == Batch(["u"], [b'{"$last_seen":"soon"}'], [SEEN])
    assert make_drop_pii(None, also="$last_seen")(batch) == Batch(["u"], [b"{}"], [None])


def test_an_argument_and_the_id_are_refused() -> None:
    with pytest.raises(ConfigError, match="-o also="):
        make_drop_pii("$email")
    with pytest.raises(ConfigError, match="use hash:distinct_id"):
        make_drop_pii(None, also="distinct_id")


def test_the_readme_lists_what_goes() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert [name for name in PERSONAL if f"`{name}`" not in readme] == []
