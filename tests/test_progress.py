"""What is shown of a run while it goes on: on a real terminal, on a narrow one, and on none."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from mixpanel_fetch.events import PageDone, Publishing, RunEnded, RunOpened, Waiting
from mixpanel_fetch.model import ProfileBatchProgress, ProfileQuery, RunInfo
from mixpanel_fetch.progress import Bar, PlainLines, Watcher, bar_is_seen, words
from mixpanel_fetch.progress.picture import picture
from mixpanel_fetch.progress.plain import sentence
from mixpanel_fetch.progress.speed import Speed
from mixpanel_fetch.progress.standing import Standing
from mixpanel_fetch.result import FetchResult
from mixpanel_fetch.simulator import Fault, SimulatorProcess

HIDES_CURSOR = "\x1b[?25l"
RUN = RunInfo(
    run_id="r1",
    table="users",
    mode="create",
    query=ProfileQuery(),
    session_id="s",
    total=10_000,
    page_size=1000,
    total_pages=10,
    transforms=(),
    fingerprint={},
    started_at=datetime(2026, 11, 25, tzinfo=timezone.utc),
    destination="duckdb:///x.duckdb",
)
QUOTA = "the project's hourly query quota is used up"


def page(index, rows=1000, error=None):
    return PageDone("r1", ProfileBatchProgress(index, 10, rows, error is None, error), 1.0)


def ended(**changes):
    moment = datetime(2026, 11, 25, tzinfo=timezone.utc)
    return RunEnded(
        FetchResult(table="users", total_rows=0, duration_seconds=4.0, **changes, fetched_at=moment)
    )


def standing_of(*events):
    """Return the state after events, each of which came so many seconds after the start."""
    standing = Standing(100.0)
    for seconds, event in events:
        standing.take(event, 100.0 + seconds)
    return standing


PAGES = [(number / 2, page(number)) for number in range(5)]
UNDER_WAY = [(0.0, RunOpened(RUN)), *PAGES]


def wait_for(condition):
    """Wait until ``condition`` holds."""
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


# The state, and what is said of it


def test_rate_and_time_left_follow_the_last_seconds():
    standing = standing_of(*UNDER_WAY)
    assert standing.rows_per_second(102.0) == 2500
    assert standing.seconds_left(102.0) == 2.0  # five pages at two and a half a second
    assert standing.rows_per_second(200.0) == 0
    assert standing.seconds_left(200.0) is None


def test_a_rate_forgets_what_lies_further_back_than_its_window():
    speed = Speed(0.0, window=10.0)
    speed.add(1.0, 1000)
    speed.add(15.0, 1100)
    assert speed.per_second(10.0) == 110.0
    assert speed.per_second(20.0) == 10.0


def test_no_time_is_guessed_from_the_first_pages():
    assert standing_of(*UNDER_WAY[:3]).seconds_left(101.0) is None


def test_pages_held_from_before_count_as_done_and_not_as_fast():
    standing = standing_of(
        (0.0, RunOpened(RUN, landed_pages=6)), *[(1.0, page(n)) for n in (6, 7, 8)]
    )
    assert (standing.landed, standing.rows) == (9, 3000)
    assert standing.rows_per_second(102.0) == 1500
    assert sentence(standing, 102.0).startswith("9 of 10 pages, 3,000 rows, 1,500 rows/s")


def test_a_session_that_begins_anew_counts_anew():
    standing = standing_of(*UNDER_WAY, (3.0, RunOpened(RUN)))
    assert (standing.landed, standing.rows, standing.began) == (0, 0, 100.0)


def test_a_wait_for_a_quota_is_told_before_one_for_a_fault_and_counts_down():
    standing = standing_of(
        *UNDER_WAY,
        (2.0, Waiting(7, QUOTA, 42.0, 1, "hourly")),
        (2.0, Waiting(8, "Mixpanel failed with 503", 90.0, 1)),
        (2.0, Waiting(9, "too short to tell", 0.4, 1)),
    )
    assert standing.retries == 3
    assert words.waiting(standing, 102.0) == f"waiting 42 s for page 7: {QUOTA}"
    assert words.waiting(standing, 142.5) == f"waiting 2 s for page 7: {QUOTA}"
    assert words.waiting(standing, 150.0) == "waiting 42 s for page 8: Mixpanel failed with 503"
    assert words.waiting(standing, 300.0) is None


def test_a_page_that_comes_is_waited_for_no_longer():
    standing = standing_of(*UNDER_WAY, (2.0, Waiting(7, QUOTA, 42.0, 1, "hourly")), (3.0, page(7)))
    assert words.waiting(standing, 103.0) is None


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([], "waiting for the first page"),
        ([(0.0, Waiting(0, QUOTA, 42.0, 1, "hourly"))], f"waiting 40 s for page 0: {QUOTA}"),
        (UNDER_WAY, "5 of 10 pages, 5,000 rows, 2,500 rows/s, about 2 s left"),
        (
            [*UNDER_WAY, (2.0, Waiting(7, "503", 0.5, 1)), (2.0, page(7, 0, "503"))],
            "5 of 10 pages, 5,000 rows, 2,500 rows/s, about 1 s left, 1 failed, 1 retry",
        ),
        (
            [*UNDER_WAY, (2.0, Waiting(7, QUOTA, 42.0, 1, "hourly"))],
            "5 of 10 pages, 5,000 rows, 2,500 rows/s, about 2 s left, 1 retry;"
            f" waiting 42 s for page 7: {QUOTA}",
        ),
        ([*UNDER_WAY, (2.0, Publishing("r1", 2.0))], "5 of 10 pages, 5,000 rows, publishing"),
        ([*UNDER_WAY, (2.0, ended())], "5 of 10 pages, 5,000 rows, 1,250 rows/s, 4.0 s"),
    ],
)
def test_the_state_as_a_sentence(events, line):
    assert sentence(standing_of(*events), 102.0) == line


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (99, "1 min 39 s"), (3599, "59 min 59 s"), (7500, "2 h 05 min")],
)
def test_times_are_said_as_people_say_them(seconds, text):
    assert words.whole(seconds) == text


def test_measured_times_have_a_decimal_while_it_says_something():
    assert [words.duration(s) for s in (0.04, 8.46, 9.96, 41.7)] == [
        "0.0 s",
        "8.5 s",
        "10 s",
        "42 s",
    ]


@pytest.mark.parametrize("width", [1, 8, 20, 40, 60, 80, 120, 300])
def test_a_picture_is_never_wider_than_the_terminal(width):
    large = replace(RUN, total=10**9, total_pages=10**6)
    for events in ([], UNDER_WAY, [(0.0, RunOpened(large)), *PAGES, *UNDER_WAY[1:]]):
        standing = standing_of(*events, (2.0, Waiting(7, QUOTA, 42.0, 1, "hourly")))
        shown = picture(standing, 102.0, width)
        first = shown.bar + 2 + len(shown.beside) if shown.bar else len(shown.beside)
        assert max(first, *map(len, shown.below)) < max(2, width)


def test_a_wide_picture_is_one_line_and_a_narrow_one_leaves_nothing_out():
    standing = standing_of(*UNDER_WAY)
    wide = picture(standing, 102.0, 80)
    assert (wide.beside, wide.below) == ("5/10 pages  5,000 rows  2,500 rows/s  about 2 s left", ())
    assert wide.bar == 20
    standing.take(Waiting(7, QUOTA, 42.0, 1, "hourly"), 102.0)
    narrow = picture(standing, 102.0, 40)
    assert (narrow.bar, narrow.beside) == (20, "5/10 pages")
    text = " ".join(narrow.below)
    for part in ("5,000 rows", "2,500 rows/s", "about 2 s left", "1 retry", QUOTA):
        assert part in text


# Plain lines


def test_plain_lines_come_after_a_while_then_regularly_and_at_the_end():
    written = []
    lines = PlainLines(written.append, first=3.0, every=5.0)
    standing = standing_of(*UNDER_WAY)
    for second in range(15):
        lines.show(standing, 100.0 + second)
    assert len(written) == 3  # after 3, 8 and 13 seconds
    standing.take(ended(), 115.0)
    lines.show(standing, 120.0)
    lines.end(standing, 115.0)
    assert written[3:] == ["5 of 10 pages, 5,000 rows, 1,250 rows/s, 4.0 s"]


def test_a_run_that_is_soon_over_writes_no_line():
    written = []
    lines = PlainLines(written.append)
    standing = standing_of(*UNDER_WAY)
    lines.show(standing, 102.0)
    standing.take(ended(), 102.0)
    lines.end(standing, 102.0)
    assert written == []


# Who watches


class Recorder:
    """A display that keeps what it is told."""

    def __init__(self):
        self.seen = []

    def show(self, standing, now):
        self.seen.append(standing.landed)

    def write(self, line):
        self.seen.append(line)

    def end(self, standing, now):
        self.seen.append(f"end {standing.landed}")


def test_lines_and_events_keep_their_order_and_nothing_is_lost():
    display = Recorder()
    with Watcher(display) as watcher:
        watcher(RunOpened(RUN))
        watcher.write("first")
        watcher(page(0))
        watcher.write("second")
    watcher.write("after the end")
    assert [one for one in display.seen if isinstance(one, str)] == [
        "first",
        "second",
        "end 1",
        "after the end",
    ]


def test_a_display_that_fails_disturbs_nothing_and_lines_still_come():
    class Failing(Recorder):
        def show(self, standing, now):
            self.seen.append("failed")
            raise OSError("the terminal is gone")

    display = Failing()
    with Watcher(display) as watcher:
        watcher(RunOpened(RUN))
        wait_for(lambda: display.seen)
        watcher.write("still here")
    assert display.seen == ["failed", "still here"]


def test_no_thread_stays_behind():
    before = threading.active_count()
    with pytest.raises(KeyError), Watcher(Recorder()):
        raise KeyError
    assert threading.active_count() == before


# On a terminal


class Terminal:
    """A pseudo terminal that is always read: ``stream`` to write to, ``seen`` what came."""

    def __init__(self):
        pty = pytest.importorskip("pty")
        self._ours, self.theirs = pty.openpty()
        self.stream = open(self.theirs, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        self._pieces = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            while piece := os.read(self._ours, 65_536):
                self._pieces.append(piece)
        except OSError:  # the other side is closed
            pass

    @property
    def seen(self):
        return b"".join(self._pieces).decode(errors="replace")

    def close(self):
        """Close our hold of it, and return all that came."""
        self.stream.close()
        os.close(self.theirs)
        self._reader.join(20)
        os.close(self._ours)
        return self.seen


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def test_a_bar_counts_pages_rows_and_failures_and_ends_with_a_line(terminal):
    with Watcher(Bar(terminal.stream)) as watcher:
        watcher(RunOpened(RUN))
        watcher(page(0))
        watcher(page(1, 0, "503"))
        watcher(ended())
    seen = terminal.close()
    assert "1/10 pages  1,000 rows" in seen
    assert "1 failed" in seen
    assert seen.endswith("\n")
    assert HIDES_CURSOR not in seen


def test_a_run_that_ends_before_its_first_page_draws_nothing(terminal):
    with Watcher(Bar(terminal.stream)):
        pass
    assert terminal.close() == ""


def test_what_was_drawn_before_the_first_page_goes_when_there_is_none(terminal):
    bar = Bar(terminal.stream)
    bar.show(Standing(0.0), 10.0)
    wait_for(lambda: "asking for the first page" in terminal.seen)
    bar.end(Standing(0.0), 11.0)
    assert terminal.close().endswith("\x1b[1A\x1b[2K")


def test_other_lines_go_above_the_bar_and_stay_whole(terminal):
    with Watcher(Bar(terminal.stream)) as watcher:
        watcher.write("before the bar [bold]")
        watcher(RunOpened(RUN))
        watcher(page(0))
        wait_for(lambda: "1/10 pages" in terminal.seen)
        watcher.write("mp: warning: [red]not markup[/red] :smile:")
        watcher(page(1))
    seen = terminal.close()
    assert seen.startswith("before the bar [bold]\r\n")
    above, _, below = seen.partition("mp: warning: [red]not markup[/red] :smile:\r\n")
    assert "1/10 pages" in above
    assert "2/10 pages" in below


def test_without_colors_the_bar_has_none(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    with Watcher(Bar(terminal.stream)) as watcher:
        watcher(RunOpened(RUN))
        watcher(page(1, 0, "503"))
    seen = terminal.close()
    assert "1 failed" in seen
    assert "\x1b[3" not in seen


def test_where_a_bar_is_seen(monkeypatch, terminal):
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    assert bar_is_seen()
    for name in ("dumb", "", "unknown"):
        monkeypatch.setenv("TERM", name)
        assert not bar_is_seen()
    monkeypatch.setenv("TERM", "xterm")
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert not bar_is_seen()
    terminal.close()


# Programs on a terminal

FETCH = """
import sys
from mixpanel_fetch import Workspace
workspace = Workspace(
    username="demo", secret="demo-secret", project_id=12345, api_base_url=sys.argv[1],
    destination="jsonl:///" + sys.argv[2],
)
"""


def on_terminal(arguments, *, send=None, when="", **popen):
    """Run a program whose stderr is a terminal; return its exit code, stdout and what was seen.

    ``send`` is a signal that it gets once ``when`` has been seen.
    """
    terminal = Terminal()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=terminal.theirs, env=environment, **popen
    )
    until = time.monotonic() + 60
    while send is not None and time.monotonic() < until and process.poll() is None:
        if when in terminal.seen:
            process.send_signal(send)
            break
        time.sleep(0.05)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out.decode(), terminal.close()


def script(body, *arguments):
    return [sys.executable, "-c", textwrap.dedent(body), *map(str, arguments)]


def test_the_library_shows_a_bar_and_leaves_the_process_as_it_was(tmp_path):
    body = (
        FETCH
        + """
import logging, os, signal, termios, threading

def snapshot():
    return (
        [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGWINCH)],
        list(logging.root.handlers), logging.root.level,
        list(logging.getLogger("mixpanel_fetch").handlers), logging.getLogger("rich").handlers,
        sys.stdout, sys.stderr, sys.excepthook, threading.excepthook, sys.getswitchinterval(),
        termios.tcgetattr(2), threading.active_count(),
    )

before = snapshot()
events = []
result = workspace.fetch_profiles("users", parallel=True, on_event=events.append)
assert snapshot() == before
print(result.total_rows, len(events))
"""
    )
    with SimulatorProcess(profiles=800, page_size=100, latency=0.2) as simulator:
        code, out, seen = on_terminal(script(body, simulator.base_url, tmp_path / "x.jsonl"))
    assert (code, out) == (0, "800 11\n")
    assert "8/8 pages" in seen
    assert HIDES_CURSOR not in seen


@pytest.mark.parametrize("hidden", ["progress=False", "on_batch_complete=print"])
def test_the_library_shows_none_where_none_is_wanted(tmp_path, hidden):
    body = FETCH + f'workspace.fetch_profiles("users", parallel=True, {hidden})\n'
    with SimulatorProcess(profiles=300, page_size=100, latency=0.3) as simulator:
        code, _, seen = on_terminal(script(body, simulator.base_url, tmp_path / "x.jsonl"))
    assert (code, seen) == (0, "")


def test_a_patched_host_whose_sink_logs_and_sleeps_has_a_bar_too(tmp_path):
    body = """
        from gevent import monkey
        monkey.patch_all()
        import logging, sys, threading, time
        import gevent
        from mixpanel_fetch import Workspace

        logging.basicConfig(stream=sys.stdout, level=logging.DEBUG)
        lock = threading.RLock()

        class Load:
            def landed_pages(self): return frozenset()
            def write(self, page_index, batch):
                with lock:
                    logging.debug("page %d", page_index)
                    time.sleep(0.01)
                return len(batch)
            def commit(self): pass
            def abort(self): pass

        class Sink:
            capabilities = frozenset()
            def begin(self, table, mode, run): return Load()
            def close(self): pass

        ticks = []
        other = gevent.spawn(lambda: [(ticks.append(1), gevent.sleep(0.01)) for _ in range(10_000)])
        workspace = Workspace(
            username="demo", secret="demo-secret", project_id=12345, api_base_url=sys.argv[1],
            destination=Sink(),
        )
        result = workspace.fetch_profiles("users", parallel=True)
        assert len(ticks) > 20 and not other.dead
        other.kill()
        print("rows", result.total_rows)
    """
    with SimulatorProcess(profiles=2000, page_size=100, latency=0.2) as simulator:
        code, out, seen = on_terminal(script(body, simulator.base_url))
    assert (code, out.splitlines()[-1]) == (0, "rows 2000")
    assert "20/20 pages" in seen


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_signal_leaves_the_cursor_on_a_line_of_its_own(tmp_path, environment_of, number, code):
    faults = [Fault(page, "hang") for page in range(5, 10)]
    with SimulatorProcess(profiles=1000, page_size=100, faults=faults) as simulator:
        environment_of(simulator)
        arguments = [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles", "users", "-p"]
        ended_with, out, seen = on_terminal(arguments, send=number, when="5/10 pages", cwd=tmp_path)
    assert ended_with == code
    assert HIDES_CURSOR not in seen
    if number is not signal.SIGKILL:
        assert '"interrupted": true' in out
        assert seen.endswith("\n")


def test_a_host_that_is_told_to_end_leaves_the_cursor_alone(tmp_path):
    body = FETCH + 'workspace.fetch_profiles("users", parallel=True)\n'
    faults = [Fault(page, "hang") for page in range(5, 10)]
    with SimulatorProcess(profiles=1000, page_size=100, faults=faults) as simulator:
        arguments = script(body, simulator.base_url, tmp_path / "x.jsonl")
        code, _, seen = on_terminal(arguments, send=signal.SIGTERM, when="5/10 pages")
    assert code == -signal.SIGTERM
    assert HIDES_CURSOR not in seen


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        ([], True),
        (["--no-progress"], False),
        (["--progress", "none"], False),
        (["--progress", "plain"], False),
        (["--quiet"], False),
    ],
)
def test_mp_shows_a_bar_unless_it_is_told_not_to(tmp_path, environment_of, flags, shown):
    with SimulatorProcess(profiles=500, page_size=100, latency=0.05) as simulator:
        environment_of(simulator)
        arguments = [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles", "-p", *flags]
        code, _, seen = on_terminal(arguments, cwd=tmp_path)
    assert code == 0
    assert ("5/5 pages" in seen) is shown


def test_warnings_of_mp_stand_above_the_bar(tmp_path, environment_of):
    with SimulatorProcess(profiles=700, page_size=10, latency=0.05) as simulator:
        environment_of(simulator)
        arguments = [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles", "users", "-p"]
        code, _, seen = on_terminal(arguments, cwd=tmp_path)
    assert code == 0
    lines = seen.replace("\r", "\n").split("\n")
    assert [line for line in lines if "mp: warning: 70 pages: Mixpanel allows 60" in line]
    assert "70/70 pages" in seen


def test_rows_on_the_same_terminal_have_no_bar_among_them(tmp_path, environment_of):
    with SimulatorProcess(profiles=300, page_size=100, latency=0.3) as simulator:
        environment_of(simulator)
        terminal = Terminal()
        done = subprocess.run(
            [sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles", "--to", "jsonl://-"],
            stdout=terminal.theirs,
            stderr=terminal.theirs,
            env={**os.environ, "TERM": "xterm"},
            check=False,
        )
        seen = terminal.close()
    assert done.returncode == 0
    assert seen.count('{"distinct_id"') == 300
    assert "/3 pages" not in seen


def test_mp_writes_plain_lines_where_no_bar_can_be(tmp_path, environment_of):
    with SimulatorProcess(profiles=1000, page_size=100, latency=0.5) as simulator:
        environment_of(simulator)
        for flags, shown in ([], True), (["--progress", "none"], False), (["-q"], False):
            done = subprocess.run(
                [
                    sys.executable, "-m", "mixpanel_fetch.cli", "fetch", "profiles", "--replace",
                    *flags,
                ],
                capture_output=True,
                text=True,
                cwd=tmp_path,
                check=False,
            )  # fmt: skip
            assert done.returncode == 0
            lines = done.stderr.splitlines()
            assert bool(lines) is shown
            assert all(line.startswith("mp: ") and " of 10 pages, " in line for line in lines)
            if shown:
                assert lines[-1].startswith("mp: 10 of 10 pages, 1,000 rows, ")
