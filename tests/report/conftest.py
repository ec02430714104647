"""Summaries and runs to make pages of, and a browser to open them in."""

from __future__ import annotations

import os
import shutil
from datetime import date, datetime, timedelta, timezone
from unittest import mock

import pytest

from mixpanel_fetch.model import ProfileQuery, RunInfo, RunRecord
from mixpanel_fetch.reading import PropertySummary, TableSummary
from mixpanel_fetch.report import render

NOON = datetime(2026, 11, 25, 12, 0, 0, tzinfo=timezone.utc)


@pytest.fixture
def summary_of():
    """A summary of table ``profiles``; what is not given is made up."""

    def make(properties=(), **changes):
        days = tuple(
            (date(2026, 11, 25) - timedelta(days=ago), 1 + ago) for ago in range(20, -1, -1)
        )
        given = {"table": "profiles", "rows": 25_000, "days": days, "never_seen": 17, **changes}
        return TableSummary(properties=tuple(properties), **given)

    return make


@pytest.fixture
def many_properties():
    """As many properties as asked for, each with ten frequent values."""

    def make(count, rows=25_000, text='"a value of some {} length"'):
        return [
            PropertySummary(
                f"a property with quite a name {n:04d}",
                present=rows - n,
                types={"string": rows - n - 5, "number": 5}
                if n % 10 == 3
                else {"string": rows - n},
                distinct=rows - n,
                distinct_is_exact=n % 2 == 0,
                top=tuple((text.format(rank), 100 - rank) for rank in range(10)),
            )
            for n in range(count)
        ]

    return make


@pytest.fixture
def run_of():
    """A run of table ``profiles``, some hours before noon: ``pages`` of them but ``missing``."""

    def make(status="complete", *, missing=(), pages=25, rows=25_000, hours=1, table="profiles"):
        started = NOON - timedelta(hours=hours)
        info = RunInfo(
            run_id=f"run-{hours}",
            table=table,
            mode="replace",
            query=ProfileQuery(),
            session_id="session",
            total=25_000,
            page_size=1_000,
            total_pages=pages,
            transforms=(),
            fingerprint={},
            started_at=started,
            destination="duckdb:///profiles.duckdb",
        )
        return RunRecord(
            info,
            status,
            frozenset(range(pages)) - set(missing),
            rows,
            None if status == "running" else started + timedelta(seconds=3.44),
        )

    return make


@pytest.fixture
def page_of():
    """The page of a summary and runs."""

    def make(summary, runs=(), destination="duckdb:///profiles.duckdb"):
        return render(summary, runs, destination=destination, made_at=NOON)

    return make


_MISSING = (
    "these tests open reports in Chromium and found no chromium or no chromedriver; install both"
    " (Debian: apt-get install chromium chromium-driver), or set MP_TEST_SKIP_CHROMIUM=1"
)
_FLAGS = (
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "disable-dev-shm-usage"),
    *("no-first-run", "disable-background-networking", "disable-component-update", "disable-sync"),
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A headless Chromium with an empty profile, driven by Selenium."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        if os.environ.get("MP_TEST_SKIP_CHROMIUM") == "1" or os.geteuid() != 0:
            pytest.skip(_MISSING)
        pytest.fail(_MISSING)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*_FLAGS, f"user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with mock.patch.dict(os.environ, {"NO_PROXY": "localhost,127.0.0.1"}):
        chromium = webdriver.Chrome(options=options, service=Service(driver))
    chromium.set_window_size(1400, 1000)
    chromium.set_page_load_timeout(60)
    chromium.set_script_timeout(60)
    yield chromium
    chromium.quit()
