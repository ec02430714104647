"""The progress bar, on a real terminal and on none."""

from __future__ import annotations

import io
import os
import sys

import pytest

from mixpanel_fetch.model import ProfileBatchProgress
from mixpanel_fetch.progress import PageProgressBar, stderr_is_terminal


def page(index, rows=1000, success=True):
    return ProfileBatchProgress(index, 3, rows, success, None if success else "503")


@pytest.fixture
def terminal():
    """A pseudo terminal: a text stream to write to, and a function that reads what was drawn."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    stream = open(theirs, "w", encoding="utf-8")  # noqa: PTH123, SIM115

    def drawn():
        stream.flush()
        os.set_blocking(ours, False)
        pieces = []
        try:
            while piece := os.read(ours, 65_536):
                pieces.append(piece)
        except OSError:  # nothing more
            pass
        return b"".join(pieces).decode()

    yield stream, drawn
    stream.close()
    os.close(ours)


def test_a_bar_counts_pages_rows_and_failures(terminal):
    stream, drawn = terminal
    with PageProgressBar(stream) as bar:
        bar(page(0))
        assert "1/3" in drawn()
        bar(page(2, 0, success=False))
        shown = drawn()
        assert "2/3" in shown
        assert "1,000 rows, 1 failed" in shown
        bar(page(1, 234))
    shown = drawn()
    assert "3/3" in shown
    assert "1,234 rows, 1 failed" in shown
    assert shown.endswith("\n")


def test_without_a_failure_none_is_spoken_of(terminal):
    stream, drawn = terminal
    with PageProgressBar(stream) as bar:
        bar(page(0))
    shown = drawn()
    assert "1,000 rows" in shown
    assert "failed" not in shown


def test_a_run_that_ends_before_its_first_page_draws_nothing(terminal):
    stream, drawn = terminal
    with PageProgressBar(stream):
        pass
    assert drawn() == ""


def test_an_error_ends_the_bar_and_goes_on(terminal):
    stream, drawn = terminal
    bar = PageProgressBar(stream)
    bar(page(0))
    with pytest.raises(KeyError), bar:
        raise KeyError
    assert drawn().endswith("\n")


def test_a_stream_that_is_no_terminal_gets_no_bar():
    stream = io.StringIO()
    with PageProgressBar(stream) as bar:
        for index in range(3):
            bar(page(index))
    assert "\r" not in stream.getvalue()
    assert "%" not in stream.getvalue()


def test_stderr_is_the_default(monkeypatch, capsys):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with PageProgressBar() as bar:
        bar(page(0))
    assert stream.getvalue()
    assert capsys.readouterr().out == ""


def test_whether_stderr_is_a_terminal(monkeypatch, terminal):
    stream, _ = terminal
    for given, expected in ((io.StringIO(), False), (None, False), (stream, True)):
        monkeypatch.setattr(sys, "stderr", given)
        assert stderr_is_terminal() is expected
