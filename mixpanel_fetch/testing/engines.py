"""What tests of one sink alone do with its engine, beyond the kit."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.errors import ConfigError, MixpanelFetchError
from mixpanel_fetch.model import LoadReport, Mode, ProfileQuery, RunInfo
from mixpanel_fetch.testing.promises import assert_one_line

_LONGEST = 400  # characters that a person reads to the end


def make_run(mode: Mode = "create", **changes: Any) -> RunInfo:
    """Return a run of one page of the table ``profiles``, which has just begun.

    ``changes``: fields of :class:`~mixpanel_fetch.model.RunInfo`. Each run has an id of its own.
    """
    fields: dict[str, Any] = {
        "run_id": uuid4().hex,
        "table": "profiles",
        "mode": mode,
        "query": ProfileQuery(where='properties["a"] == 1', output_properties=("a", "b")),
        "session_id": "session-1",
        "total": 10,
        "page_size": 5,
        "asked_page_size": 5,
        "total_pages": 1,
        "transforms": ("drop:a", "rename:b=c"),
        "fingerprint": {"query": "{}", "project": "12345"},
        "started_at": datetime.now(timezone.utc),
        "destination": "kit://***",
    }
    return RunInfo(**{**fields, **changes})


def land(engine: Any, pages: Mapping[int, Batch], run: RunInfo) -> LoadReport | None:
    """Land ``pages`` as ``run``, from ``check`` to ``close``; return what ``commit`` says of it.

    The engine is closed whatever happens. Raises what it raises.
    """
    __tracebackhide__ = True
    try:
        check = getattr(engine, "check", None)
        if check is not None:
            check(run.table, run.mode)
        load = engine.begin(run.table, run.mode, run)
        for index, page in pages.items():
            landed = load.write(index, page)
            assert landed == len(page), f"page {index} has {len(page)} rows; {landed} landed"
        report: LoadReport | None = load.commit()
        return report
    finally:
        engine.close()


def refusal(
    function: Callable[..., object],
    *args: Any,
    kind: type[MixpanelFetchError] = ConfigError,
    secrets: Iterable[str] = (),
) -> str:
    """Call ``function`` and return the words with which it refuses.

    Fails unless it raises an error of exactly this ``kind``, in one printable line of at most 400
    characters, and unless its whole traceback shows none of the ``secrets``.
    """
    __tracebackhide__ = True
    with pytest.raises(MixpanelFetchError) as caught:
        function(*args)
    error, words = caught.value, str(caught.value)
    assert type(error) is kind, f"{kind.__name__} was expected, not {error!r}"
    assert_one_line(error)
    assert words.isprintable(), f"an error must be printable, not {words!r}"
    assert len(words) <= _LONGEST, f"an error must be short, not {len(words)} characters"
    shown = "".join(traceback.format_exception(error))
    assert not any(secret in shown for secret in secrets), "a traceback must show no secret"
    return words
