"""A bar like tqdm's, moved by a fetch."""

from __future__ import annotations

import io

import pytest
from tqdm import tqdm

from mixpanel_fetch import ProfileBatchProgress, ProgressCallback
from mixpanel_fetch.simulator import Fault


def test_tqdm_counts_the_pages_of_a_fetch(engage_simulator, workspace_of, tmp_path):
    simulator = engage_simulator(profiles=1000, page_size=100)
    simulator.set_faults([Fault(3, "503", times=None)])
    workspace = workspace_of(simulator, f"jsonl:///{tmp_path}/x.jsonl", max_retries=0)
    out = io.StringIO()
    with ProgressCallback(tqdm(unit="page", file=out, mininterval=0)) as callback:
        workspace.fetch_profiles(parallel=True, on_batch_complete=callback)
    last = out.getvalue().rpartition("\r")[2]
    assert "100%" in last
    assert "10/10" in last
    assert "rows=900" in last
    assert "failed=1" in last


def test_tqdm_counts_the_pages_of_a_stream(engage_simulator, workspace_of):
    workspace = workspace_of(engage_simulator(profiles=250, page_size=100), "jsonl:///none.jsonl")
    bar = tqdm(file=io.StringIO())
    with ProgressCallback(bar) as callback:
        assert len(list(workspace.stream_profiles(on_batch_complete=callback))) == 250
    assert (bar.n, bar.total) == (3, 3)


def test_a_bar_needs_no_more_than_is_asked_of_one():
    class Bar:
        total, n, said, closed = None, 0, {}, False

        def update(self, n):
            self.n += n

        def set_postfix(self, **said):
            self.said = said

        def close(self):
            self.closed = True

    bar = Bar()
    with ProgressCallback(bar) as callback:
        callback(ProfileBatchProgress(0, 3, 100, True))
        callback(ProfileBatchProgress(1, 3, 0, False, "503"))
    assert (bar.total, bar.n, bar.closed) == (3, 2, True)
    assert (bar.said["rows"], bar.said["failed"]) == (100, 1)


def test_the_bar_is_closed_when_the_fetch_raises():
    bar = tqdm(file=io.StringIO())
    with pytest.raises(ZeroDivisionError), ProgressCallback(bar):
        raise ZeroDivisionError
    assert bar.disable
