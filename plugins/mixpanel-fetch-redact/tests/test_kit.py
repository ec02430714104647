"""What mixpanel-fetch asks of every transform, of each of these."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from mixpanel_fetch_redact import register_transforms

from mixpanel_fetch.testing import TransformCase, TransformTests

SPECS = {spec.name: spec for spec in register_transforms()}
ROWS = [
    {
        "distinct_id": "jane@example.com",
        "properties": {
            "$email": "jane@example.com",
            "$Phone": "+49 170 1234567",
            "address": {"street": "Main Street", "city": "Ulm"},
            "devices": [{"ip": "10.0.0.1", "model": "m"}, None, "odd"],
            "age": 42,
        },
        "last_seen": datetime(2026, 1, 31, 12, tzinfo=timezone.utc),
    },
    {"distinct_id": "4", "properties": {"$email": None}},
]
PATHS = "$email,$phone,address.street,devices[].ip,plan"


class TestHash(TransformTests):
    @pytest.fixture
    def case(self) -> TransformCase:
        return TransformCase(f"hash:{PATHS}", spec=SPECS["hash"], rows=ROWS, changes_values=True)


class TestHashOfIds(TransformTests):
    @pytest.fixture
    def case(self) -> TransformCase:
        return TransformCase(
            "hash:distinct_id",
            spec=SPECS["hash"],
            rows=ROWS,
            changes_ids=True,
            changes_values=True,
        )


class TestMask(TransformTests):
    @pytest.fixture
    def case(self) -> TransformCase:
        return TransformCase(
            f"mask:{PATHS}",
            spec=SPECS["mask"],
            options={"mask_char": "#", "match_case": "true"},
            rows=ROWS,
            changes_values=True,
        )


class TestKeepOnly(TransformTests):
    @pytest.fixture
    def case(self) -> TransformCase:
        return TransformCase("keep-only:$email,plan,age", spec=SPECS["keep-only"], rows=ROWS)


class TestDropPii(TransformTests):
    @pytest.fixture
    def case(self) -> TransformCase:
        return TransformCase(
            "drop-pii",
            spec=SPECS["drop-pii"],
            options={"also": "plan", "keep": "$city"},
            rows=ROWS,
        )
