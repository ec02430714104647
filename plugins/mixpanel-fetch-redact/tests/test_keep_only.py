from __future__ import annotations

from datetime import datetime, timezone

import pytest
from mixpanel_fetch_redact import make_keep_only

from mixpanel_fetch.batch import Batch

SEEN = datetime(2026, 1, 31, tzinfo=timezone.utc)
PROFILE = (
    b'{"plan":"pro","$email":"e","address":{"street":"s","city":"c","geo":{"lat":1.10,"x":2}},'
    b'"devices":[{"ip":"i","model":"m"},"odd",null,[{"model":"deep"}],{"model":null}],"a.b":3}'
)


@pytest.mark.parametrize(
    ("paths", "kept"),
    [
        ("plan", b'{"plan":"pro"}'),
        ("absent", b"{}"),
        ("a.b", b"{}"),
        (r"a\.b,plan", b'{"plan":"pro","a.b":3}'),
        ("address.city", b'{"address":{"city":"c"}}'),
        ("address.city,address", b'{"address":{"street":"s","city":"c","geo":{"lat":1.10,"x":2}}}'),
        ("address.geo.lat,address.zip", b'{"address":{"geo":{"lat":1.10}}}'),
        ("address.*.lat", b'{"address":{"geo":{"lat":1.10}}}'),
        ("devices[].model", b'{"devices":[{"model":"m"},null,[{"model":"deep"}],{"model":null}]}'),
        ("devices.model", b'{"devices":[{"model":"m"},null,{"model":null}]}'),
        ("devices[]", b'{"devices":[{"ip":"i","model":"m"},"odd",null,[{"model":"deep"}],'
         b'{"model":null}]}'),
        ("plan.name", b"{}"),
        ("PLAN,Address.city", b"{}"),
    ],
)  # fmt: skip
def test_only_what_is_named_stays(apply, paths: str, kept: bytes) -> None:
    assert apply(make_keep_only(paths), PROFILE) == kept


def test_a_value_that_is_null_on_the_way_stays_and_another_goes(apply) -> None:
    before = b'{"a":null,"b":"text","c":7,"d":[],"e":{}}'
    assert apply(make_keep_only("a.x,b.x,c.x,d.x,e.x"), before) == b'{"a":null,"d":[],"e":{}}'


def test_the_id_stays_and_last_seen_if_it_is_named() -> None:
    batch = Batch(["u"], [b'{"a":1,"$last_seen":"soon"}'], [SEEN])
    assert make_keep_only("a")(batch) == Batch(["u"], [b'{"a":1}'], [None])
    kept = make_keep_only("$last_seen")(batch)
    assert kept == Batch(["u"], [b'{"$last_seen":"soon"}'], [SEEN])


def test_of_members_with_one_name_the_last_counts(apply) -> None:
    before = rb'{"a":{"x":"hidden"},"a":{"x":"seen","y":1},"\u0061":{"x":"last"}}'
    assert apply(make_keep_only("a.x"), before) == b'{"a":{"x":"last"}}'
