"""What the README asks of a history, asked."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def questions():
    found = re.findall(r"```sql\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [one for one in found if "customers_history" in one]


def at_the_tenth(kit, engine, month, people):
    """A complete fetch on the tenth of a month; ``people``: plan and status by id."""
    run = kit.sync_info(
        month,
        table="customers",
        history=True,
        started_at=datetime(2026, month, 10, tzinfo=timezone.utc),
    )
    load = engine.begin("customers", "merge", run)
    rows = [
        {"distinct_id": one, "properties": {"plan": plan, "status": status}}
        for one, (plan, status) in people.items()
    ]
    load.write(0, kit.Batch.from_rows(rows))
    load.commit_in_step(complete=True)
    engine.close()


def test_active_users_last_march(kit, place, engine, questions):
    as_it_was, active = questions
    at_the_tenth(
        kit,
        engine,
        2,
        {"stays": ("free", "active"), "left": ("pro", "active"), "old": ("pro", "idle")},
    )
    at_the_tenth(
        kit,
        engine,
        3,
        {"stays": ("free", "active"), "old": ("pro", "active"), "new": ("pro", "idle")},
    )
    at_the_tenth(
        kit,
        engine,
        4,
        {"stays": ("pro", "idle"), "old": ("pro", "idle"), "late": ("pro", "active")},
    )
    assert place.query(as_it_was) == [("free", 1), ("pro", 2)]
    assert place.query(active) == [("left",), ("old",), ("stays",)]
