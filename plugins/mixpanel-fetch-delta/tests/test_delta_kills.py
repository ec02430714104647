"""kill -9 of a real process at many instants: the run goes on, in a folder and in a bucket."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap

import pytest

PAGES = 8

# Dies by its own hand right before or after the NTH call of a method of which an argument contains
# WHERE: every instant that matters, and the same one each time.
PROGRAM = """
    import json, os, signal, sys
    from random import Random
    from datetime import datetime, timezone
    from mixpanel_fetch.batch import Batch
    from mixpanel_fetch.model import ProfileQuery, RunInfo
    from mixpanel_fetch_delta.engine import DeltaEngine
    from mixpanel_fetch_delta.folder import FolderLake
    from mixpanel_fetch_delta.bucket import BucketLake
    from mixpanel_fetch_delta.table import Table, Version

    location, options, mode, method, nth, moment, where = sys.argv[1:]
    left = int(nth)

    def doomed(owner):
        call = getattr(owner, method)
        def die_at_last(self, *arguments, **options):
            global left
            hit = any(where in str(one) for one in arguments)
            left -= hit
            if hit and left == 0 and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(self, *arguments, **options)
            if hit and left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        setattr(owner, method, die_at_last)

    for owner in (FolderLake, BucketLake, Table, Version):
        if method in vars(owner):
            doomed(owner)
    engine = DeltaEngine(location, **json.loads(options), file_size="1KB")
    run = engine.interrupted("users") or RunInfo("r", "users", mode, ProfileQuery(), "s", None, 50,
        8, (), {}, datetime.now(timezone.utc), "d")
    load = engine.begin("users", mode, run)
    for page in range(8):
        if page not in load.landed_pages():
            ids = [f"{page}-{row}" for row in range(50)] + ["same"]
            told = [{"v": page, "x": Random(i).random()} for i in ids]
            rows = [{"distinct_id": i, "properties": p} for i, p in zip(ids, told)]
            load.write(page, Batch.from_rows(rows))
            print(page, flush=True)
    load.commit()
    print("published", flush=True)
    engine.close()
"""


def crash(place, mode, instant):
    method, nth, moment, where = instant
    arguments = [place.location, json.dumps(place.options), mode, method, str(nth), moment, where]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.split()


def finish(kit, place, mode):
    engine = place.engine()
    info = engine.interrupted("users")
    assert info is not None
    engine.check("users", mode)
    load = engine.begin("users", mode, info)
    landed = load.landed_pages()
    for page in set(range(PAGES)) - landed:
        load.write(page, kit.batch(*(f"{page}-{row}" for row in range(50)), "same", value=page))
    report = load.commit()
    engine.close()
    values = place.values()
    assert len(values) == 50 * PAGES + (2 if "old" in values else 1)
    assert values["same"] == PAGES - 1
    assert report.total_rows == 50 * PAGES + 1
    assert engine.interrupted("users") is None
    assert engine.runs()[0].status == "complete"
    left = [name for name, _ in engine._lake.files("_mixpanel_fetch")]
    assert not [name for name in left if "/staging/" in name or "/open/" in name]
    return landed


def lay_old(kit, place, mode):
    if mode != "create":
        kit.fetch(place.engine(), {0: kit.batch("old", "same")})
    return place.values()


@pytest.mark.parametrize(
    ("mode", "instant"),
    [
        ("create", ("upload", 1, "before", "pages/")),
        ("create", ("upload", 3, "after", "pages/")),
        ("merge", ("upload", 1, "before", "parts/")),
        ("create", ("upload", 1, "after", "parts/")),
        ("create", ("put", 1, "after", "parts/")),
        ("merge", ("delete", 1, "after", "pages/")),
    ],
)
def test_a_kill_while_pages_land(kit, place, mode, instant):
    before = lay_old(kit, place, mode)
    said = crash(place, mode, instant)
    assert place.values() == before
    landed = finish(kit, place, mode)
    # What was said to have landed has; a page that had just landed may have, too.
    assert {int(page) for page in said} <= landed
    assert len(landed) <= len(said) + 1


@pytest.mark.parametrize(
    ("mode", "instant"),
    [
        ("create", ("copy", 1, "before", "users/")),
        ("create", ("copy", 1, "after", "users/")),
        ("create", ("create", 1, "before", "")),
        ("merge", ("copy", 1, "after", "users/")),
        ("merge", ("upload", 1, "after", "users/")),
        ("replace", ("commit", 1, "before", "")),
        ("append", ("commit", 1, "before", "")),
    ],
)
def test_a_kill_before_the_publish_is_through(kit, place, mode, instant):
    before = lay_old(kit, place, mode)
    said = crash(place, mode, instant)
    assert said == [str(page) for page in range(PAGES)]
    assert place.values() == before
    assert len(finish(kit, place, mode)) == PAGES


@pytest.mark.parametrize(
    ("mode", "method"), [("create", "create"), ("merge", "commit"), ("replace", "commit")]
)
def test_a_kill_right_after_the_commit(kit, place, mode, method):
    lay_old(kit, place, mode)
    crash(place, mode, (method, 1, "after", ""))
    engine = place.engine()
    assert engine.interrupted("users") is None
    (record, *_) = engine.runs()
    assert (record.status, record.missing_pages) == ("complete", ())
    assert record.total_rows == 50 * PAGES + 1
    values = place.values()
    assert len(values) == 50 * PAGES + (2 if mode == "merge" else 1)
    # The next run cleans up, and changes nothing of what that one has stored.
    kit.fetch(engine, {0: kit.batch("next")}, "merge")
    assert place.values() == {**values, "next": 1}
    assert not engine._lake.files("_mixpanel_fetch/staging")
    assert [one.status for one in engine.runs()][:2] == ["complete", "complete"]


def test_kill_after_kill_the_run_arrives(kit, folder):
    for nth, moment in ((2, "before"), (3, "after"), (1, "before"), (2, "after")):
        crash(folder, "create", ("upload", nth, moment, "pages/"))
    assert len(finish(kit, folder, "create")) == 1 + 3 + 0 + 2
