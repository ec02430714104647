"""The conformance kit for sinks, on the sink as a user names it: in a folder, in a bucket."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from mixpanel_fetch.testing import SinkCase, SinkTests

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def reader(place):
    def rows(table):
        found = place.rows(table)
        return found and [
            {
                "distinct_id": row["distinct_id"],
                "properties": json.loads(row["properties"]),
                "last_seen": None
                if row["last_seen"] is None
                else EPOCH + timedelta(microseconds=row["last_seen"]),
            }
            for row in found
        ]

    return rows


class TestDelta(SinkTests):
    @pytest.fixture
    def case(self, folder, tmp_path):
        (tmp_path / "lake").mkdir()
        return SinkCase(
            folder.uri,
            rows=reader(folder),
            unusable=f"delta:///{tmp_path}/nowhere/at/all",
        )


class TestDeltaInABucket(SinkTests):
    @pytest.fixture
    def case(self, bucket, kit):
        keys = ("access_key_id", "secret_access_key")
        return SinkCase(
            bucket.uri,
            rows=reader(bucket),
            options={key: bucket.options[key] for key in keys},
            secrets=[kit.SECRET],
            unusable=bucket.uri.replace("lake/", "no-such-bucket/"),
        )
