"""What processes know together of one project's quota: its slots, and its hour."""

from __future__ import annotations

import errno
import json
import logging
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import gevent
import pytest

from mixpanel_fetch import MixpanelAPIClient, RateLimitError, ServerError, TransportError
from mixpanel_fetch.client import ClientSettings, EngageConnection
from mixpanel_fetch.hour import HOUR, HourlyBudget
from mixpanel_fetch.model import Credentials, ProfileQuery
from mixpanel_fetch.quota import ConcurrencyGate, RetryPolicy, given_up
from mixpanel_fetch.shared_files import SharedFiles
from mixpanel_fetch.sharing import SharedGate, SharedSlots, is_loopback, quota_name, share
from mixpanel_fetch.simulator import SimulatorProcess
from mixpanel_fetch.transport import Answer, HubLease, pause

FETCH = """
import sys
from mixpanel_fetch import Workspace

workspace = Workspace(
    username="demo", secret="demo-secret", project_id=12345, api_base_url=sys.argv[1],
    destination="jsonl:///" + sys.argv[2], shared_quota=sys.argv[3] == "shared",
)
print(workspace.fetch_profiles(parallel=True).total_rows)
"""
HOLD = """
import sys, time
from mixpanel_fetch.shared_files import SharedFiles
from mixpanel_fetch.sharing import SharedSlots

slots = SharedSlots(SharedFiles(), "q", 5)
for _ in range(5):
    slots.acquire()
print("held", flush=True)
time.sleep(60)
"""


class WouldWaitError(Exception):
    """Raised by the injected sleep."""


def refuse(seconds):
    assert 0.01 <= seconds <= 0.02
    raise WouldWaitError


def started(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def warnings_of(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


@pytest.fixture
def folder():
    return Path(os.environ["XDG_CACHE_HOME"]) / "mixpanel-fetch" / "quota"


@pytest.fixture
def slots_of(folder):
    """Slots as another process would have them: through files of their own."""

    def make(count=5, name="q", **changes):
        return SharedSlots(SharedFiles(folder), name, count, **{"sleep": refuse, **changes})

    return make


# Slots, with real processes


@pytest.mark.parametrize("how", ["shared", "apart"])
def test_two_fetches_of_one_project_have_five_requests_in_flight_together(tmp_path, how):
    switches = {"profiles": 4000, "page_size": 100, "latency": 0.1, "concurrency_limit": 20}
    with SimulatorProcess(**switches) as simulator:
        processes = [
            started(FETCH, simulator.base_url, tmp_path / f"{number}.jsonl", how)
            for number in range(2)
        ]
        for process in processes:
            assert process.communicate(timeout=60) == ("4000\n", "")
        most = simulator.stats.max_in_flight
        assert len(simulator.stats.requests) == 80
    assert most == 5 if how == "shared" else most > 5


def test_a_fetch_makes_its_files_for_nobody_else_and_only_when_it_asks(
    engage_simulator, client_of, folder
):
    client = client_of(engage_simulator())
    assert not folder.exists()
    client.query_engage_page(0)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (slot,) = folder.iterdir()
    assert stat.S_IMODE(slot.stat().st_mode) == 0o600
    assert "12345" not in slot.name


def test_without_sharing_no_file_is_made(engage_simulator, client_of, folder):
    client_of(engage_simulator(), shared_quota=False).query_engage_page(0)
    assert not folder.exists()


def test_a_process_that_is_killed_frees_its_slots(slots_of):
    process = started(HOLD)
    try:
        assert process.stdout.readline() == "held\n"
        slots = slots_of()
        with pytest.raises(WouldWaitError):
            slots.acquire()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
    for _ in range(5):
        slots.acquire()


# Slots, one by one


def test_a_slot_that_is_given_back_is_anothers(slots_of):
    mine, others = slots_of(2), slots_of(2)
    mine.acquire()
    others.acquire()
    for slots in (mine, others):
        with pytest.raises(WouldWaitError):
            slots.acquire()
    others.release()
    mine.acquire()
    with pytest.raises(WouldWaitError):
        others.acquire()


def test_another_project_has_slots_of_its_own(slots_of):
    slots_of(1, "q").acquire()
    slots_of(1, "r").acquire()


def test_a_slot_costs_little(slots_of):
    slots, started_at = slots_of(), time.perf_counter()
    for _ in range(500):
        slots.acquire()
        slots.release()
    assert (time.perf_counter() - started_at) / 500 < 0.002  # measured: 0.00001


def test_two_threads_of_a_process_share_the_slots(slots_of):
    slots, counting = slots_of(2, sleep=lambda _: time.sleep(0.001)), threading.Lock()
    now, most = 0, 0

    def work():
        nonlocal now, most
        for _ in range(50):
            slots.acquire()
            with counting:
                now += 1
                most = max(most, now)
            with counting:
                now -= 1
            slots.release()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert (now, most <= 2) == (0, True)
    slots.acquire()
    slots.acquire()  # every slot came back


def test_two_clients_in_threads_share_the_slots(engage_simulator, workspace_of, tmp_path):
    simulator = engage_simulator(profiles=3000, page_size=100, latency=0.05, gather=5)
    threads = [
        threading.Thread(
            target=workspace_of(simulator, f"jsonl:///{tmp_path}/{number}.jsonl").fetch_profiles,
            kwargs={"parallel": True},
        )
        for number in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(simulator.stats.requests) == 60
    assert simulator.stats.max_in_flight == 5


def test_a_gate_from_elsewhere_takes_shared_slots_too(engage_simulator, client_of, slots_of):
    settings = client_of(engage_simulator()).settings
    twin = pickle.loads(pickle.dumps(settings))
    others = slots_of(5, quota_name(settings.origin, settings.project))
    for _ in range(5):
        others.acquire()
    threading.Timer(0.3, others.release).start()
    since = time.monotonic()
    with twin.transport() as transport:
        connection = EngageConnection(twin, ConcurrencyGate(1), transport)
        connection.fetch_document(ProfileQuery(), 0, None, None)
    assert time.monotonic() - since > 0.25


def test_waiting_is_cooperative_and_a_kill_leaks_no_slot(slots_of):
    with HubLease():
        local = ConcurrencyGate(1, sleep=pause)
        others = slots_of(1)
        others.acquire()
        gate = SharedGate(local, slots_of(1, sleep=pause))
        waiting = gevent.spawn(gate.acquire)
        gevent.sleep(0.05)  # the hub goes on
        assert not waiting.dead
        waiting.kill()
        others.release()
        again = gevent.spawn(gate.acquire)
        again.join(5)
        assert again.successful()
        gate.release()


def test_the_gate_narrows_what_is_local(slots_of):
    local = ConcurrencyGate(3)
    SharedGate(local, slots_of(3)).narrow()
    assert local.width == 2


def test_a_long_wait_says_once_what_it_is_for(slots_of, caplog):
    others, waits = slots_of(1), []
    others.acquire()

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 200:
            others.release()

    slots_of(1, sleep=sleep, patience=0.5).acquire()
    (warning,) = warnings_of(caplog)
    assert "other processes" in warning
    assert "--no-shared-quota" in warning


# Where nothing can be shared


def read_only(folder):
    folder.mkdir(parents=True)
    folder.chmod(0o500)


def a_file_in_the_way(folder):
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.write_text("")


def a_linked_folder(folder):
    elsewhere = folder.parent.parent / "elsewhere"
    elsewhere.mkdir()
    folder.parent.mkdir()
    folder.symlink_to(elsewhere)


def linked_slots(folder):
    folder.mkdir(mode=0o700, parents=True)
    for slot in range(5):
        (folder / f"q.slot{slot}").symlink_to(folder / "elsewhere")


@pytest.mark.parametrize("obstacle", [read_only, a_file_in_the_way, a_linked_folder, linked_slots])
def test_what_cannot_be_shared_is_left_out_with_one_warning(slots_of, folder, caplog, obstacle):
    if obstacle is read_only and os.geteuid() == 0:
        pytest.skip("nothing is read-only for root")
    obstacle(folder)
    slots = slots_of(2)
    for _ in range(4):
        slots.acquire()
    for _ in range(4):
        slots.release()
    (warning,) = warnings_of(caplog)
    assert "the quota is not shared" in warning
    assert "\n" not in warning
    assert not (folder / "elsewhere").exists()


def test_another_users_folder_is_not_used(slots_of, folder, caplog, monkeypatch):
    folder.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    slots_of().acquire()
    assert "another user's" in warnings_of(caplog)[0]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o755, 0o750])
def test_a_folder_of_ours_is_closed_to_others(slots_of, folder, mode):
    folder.mkdir(parents=True)
    folder.chmod(mode)
    slots_of().acquire()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_user_without_a_home_shares_nothing(caplog, monkeypatch):
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: Path("~/.cache") / name)
    SharedSlots(SharedFiles(), "q", 1, sleep=refuse).acquire()
    assert "XDG_CACHE_HOME" in warnings_of(caplog)[0]
    assert not Path("~").exists()


def test_a_filesystem_without_locks_shares_nothing(slots_of, caplog, monkeypatch):
    import filelock

    def unlockable(descriptor, *, blocking):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock, "lock_descriptor", unlockable)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    slots = slots_of(1)
    slots.acquire()
    slots.acquire()
    assert len(warnings_of(caplog)) == 1
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_a_read_only_filesystem_shares_nothing(slots_of, hour_of, caplog, monkeypatch):
    def denied(self, name, flags):
        raise OSError(errno.EROFS, "Read-only file system", name)

    monkeypatch.setattr(SharedFiles, "open", denied)
    slots, hour = slots_of(1), hour_of(limit=1)
    for _ in range(3):
        slots.acquire()
        assert hour.take() is None
        hour.settle(None, OK)
        slots.release()
    assert len(warnings_of(caplog)) == 2  # one for each that has files of its own


def test_a_fetch_goes_on_where_nothing_can_be_shared(engage_simulator, client_of, folder, caplog):
    a_file_in_the_way(folder)
    assert client_of(engage_simulator()).query_engage_page(0)["total"] == 1000
    assert len(warnings_of(caplog)) == 1


# The hour

OK = Answer(200, {}, b"")
POLICY = {"RateLimit-Policy": '"project";q=200;w=3600, "project-concurrency";q=5'}
REFUSED = Answer(429, {"RateLimit": '"project";r=0;t=600', "Retry-After": "600"}, b"")
REFUSED_AT_3 = Answer(429, {}, b'{"error": "(4/3 queries running in the last hour)"}')


class Day:
    """A clock that the test moves."""

    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def day():
    return Day()


@pytest.fixture
def hour_of(folder, day):
    """The hour as another process would have it."""

    def make(name="q", **changes):
        return HourlyBudget(SharedFiles(folder), name, **{"clock": day, "sleep": refuse, **changes})

    return make


def refused(hour):
    with pytest.raises(RateLimitError) as caught:
        hour.take()
    assert (caught.value.limit, caught.value.attempts) == ("hourly", 0)
    assert "this machine's processes" in str(caught.value)
    assert "--no-shared-quota" in str(caught.value)
    return caught.value.retry_after


def test_sixty_queries_an_hour_are_counted_over_all_processes(hour_of, day):
    mine, others = hour_of(), hour_of()
    for _ in range(30):
        mine.settle(mine.take(), OK)
        day.now += 10
        others.settle(others.take(), OK)
    assert refused(mine) == HOUR - 300
    assert refused(others) == HOUR - 300
    day.now += HOUR - 300
    mine.take()
    assert refused(others) == 10
    hour_of("another project").take()


@pytest.mark.parametrize("status", [401, 402, 403, 429])
def test_what_the_server_does_not_count_is_not_counted(hour_of, status):
    hour = hour_of(limit=2)
    for _ in range(5):
        hour.settle(hour.take(), Answer(status, {}, b""))
        hour.settle(hour.take(), None)
    for counted in (200, 500):
        hour.settle(hour.take(), Answer(counted, {}, b""))
    refused(hour)


def test_the_servers_word_is_every_processes(hour_of, day):
    mine, others = hour_of(), hour_of()
    mine.settle(mine.take(), REFUSED)
    day.now += 100
    assert refused(others) == 500
    day.now += 500
    others.take()


@pytest.mark.parametrize(("answer", "limit"), [(REFUSED_AT_3, 3), (Answer(200, POLICY, b""), 200)])
def test_the_limit_that_the_server_names_is_the_limit(hour_of, answer, limit):
    mine, others = hour_of(), hour_of()
    mine.settle(mine.take(), answer)
    for _ in range(limit - (answer.status == 200)):
        others.take()
    refused(mine)


def test_other_429s_say_nothing_of_the_hour(hour_of):
    hour = hour_of()
    busy = Answer(429, {"RateLimit": '"project-concurrency";r=0;t=900'}, b"")
    hour.settle(hour.take(), busy)
    hour.settle(hour.take(), Answer(429, {"Retry-After": "900"}, b""))
    hour.take()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "\0\xff",
        '{"asked": 1, "until": 0, "limit": null}',
        '{"asked": ["x"], "until": 0, "limit": null}',
        '{"asked": [], "until": "x", "limit": null}',
        '{"asked": [NaN, Infinity, -Infinity, 1e300], "until": Infinity, "limit": null}',
        '{"asked": [], "until": NaN, "limit": -1}',
        '{"asked": [], "until": 1900000000, "limit": true}',
        '{"asked": [1' + "0" * 400 + '], "until": 0, "limit": "60"}',
        "[" * 100_000,
    ],
)
def test_a_file_that_makes_no_sense_is_written_anew(hour_of, folder, day, text, caplog):
    hour_of().take()
    (folder / "q.hour").write_text(text)
    hour = hour_of(limit=1)
    hour.take()
    refused(hour)
    assert json.loads((folder / "q.hour").read_text())["asked"] == [day.now]
    assert warnings_of(caplog) == []


def test_a_clock_that_was_set_back_blocks_nothing(hour_of, day):
    hour = hour_of(limit=1)
    hour.settle(hour.take(), REFUSED)
    day.now -= 86_400
    hour.take()


def test_the_hours_files_are_nobody_elses(hour_of, folder):
    hour_of().take()
    assert sorted(file.name for file in folder.iterdir()) == ["q.hour", "q.hour.lock"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["q.hour", "q.hour.lock", "q.hour.new"])
def test_a_linked_file_is_not_followed(hour_of, folder, caplog, name):
    folder.mkdir(mode=0o700, parents=True)
    target = folder / "elsewhere"
    target.write_text("mine")
    (folder / name).symlink_to(target)
    hour = hour_of(limit=1)
    for _ in range(3):
        hour.settle(hour.take(), REFUSED)
    assert target.read_text() == "mine"
    assert len(warnings_of(caplog)) == 1


def test_a_file_that_goes_bad_under_way_is_left_out(hour_of, folder, caplog):
    hour = hour_of(limit=1)
    asked = hour.take()
    (folder / "q.hour").unlink()
    (folder / "q.hour").mkdir()
    hour.settle(asked, REFUSED)
    hour.settle(hour.take(), OK)
    assert len(warnings_of(caplog)) == 1


def test_a_lock_that_never_comes_free_is_not_waited_for(hour_of, folder, caplog):
    waits = []
    with SharedFiles(folder).locked("q.hour.lock", refuse):
        hour = hour_of(sleep=waits.append)
        assert hour.take() is None
    assert 1 < sum(waits) < 10
    assert len(warnings_of(caplog)) == 1


def test_threads_count_every_query(hour_of):
    hours = [hour_of(limit=100, sleep=time.sleep) for _ in range(4)]

    def ask(hour):
        for _ in range(25):
            hour.take()

    threads = [threading.Thread(target=ask, args=(hour,)) for hour in hours]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    refused(hours[0])


# Keys


@pytest.mark.parametrize(
    ("origin", "loopback"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:80", True),
        ("https://localhost:1", True),
        ("https://LOCALHOST", True),
        ("https://mixpanel.com", False),
        ("https://127.0.0.1.example.com", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example.com", False),
    ],
)
def test_loopback_keeps_no_hour(origin, loopback):
    assert is_loopback(origin) == loopback
    _, hour = share(ConcurrencyGate(1), origin=origin, project="1", slots=1, sleep=pause)
    assert (hour is None) == loopback


def test_a_quota_belongs_to_scheme_host_port_and_project():
    name = quota_name("https://mixpanel.com", "1")
    assert name == quota_name("https://u:p@MIXPANEL.com:443", "1")
    others = [("http://mixpanel.com", "1"), ("https://eu.mixpanel.com", "1")]
    others += [("https://mixpanel.com:444", "1"), ("https://mixpanel.com", "2")]
    assert name not in {quota_name(*other) for other in others}
    assert name.isalnum()


def test_a_project_secret_stands_for_its_project():
    settings = [ClientSettings(Credentials(api_secret=secret)) for secret in ("one", "two")]
    assert len({quota_name(one.origin, one.project) for one in settings}) == 2


# The client and the hour


class Canned:
    """A transport that answers without a network."""

    def __init__(self, *answers):
        self.answers, self.forms = list(answers), []

    def post(self, url, *, form, **_):
        self.forms.append(form)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


PAGE = Answer(
    200,
    {},
    b'{"status": "ok", "results": [], "total": 0, "page": 0, "page_size": 1000, "session_id": "s"}',
)


def connection_to(*answers, **settings):
    retry = RetryPolicy(max_retries=0, max_wait=0.0)
    settings = ClientSettings(Credentials("u", "s", "1"), retry=retry, **settings)
    transport = Canned(*answers)
    return EngageConnection(settings, ConcurrencyGate(5), transport), transport


def ask(connection, session_id=None):
    return connection.fetch_page(ProfileQuery(), 0, session_id=session_id)


def test_only_a_request_without_a_session_counts():
    connection, transport = connection_to(*[PAGE] * 160)
    for _ in range(60):
        ask(connection)
        ask(connection, "s")
    with pytest.raises(RateLimitError, match=r"60 queries .*come back in 60 min \(at ") as caught:
        ask(connection)
    assert caught.value.attempts == 0
    assert "\n" not in str(caught.value)
    ask(connection, "s")
    assert len(transport.forms) == 121
    alone, _ = connection_to(PAGE, shared_quota=False)
    ask(alone)


def test_a_429_for_the_hour_keeps_others_from_asking():
    mine, _ = connection_to(REFUSED)
    with pytest.raises(RateLimitError, match="come back in 10 min") as caught:
        ask(mine)
    assert caught.value.attempts == 1
    others, transport = connection_to(PAGE)
    with pytest.raises(RateLimitError, match=r"were told when they asked .*come back in 10 min"):
        ask(others)
    assert transport.forms == []


@pytest.mark.parametrize("answer", [TransportError("reset"), Answer(500, {}, b"")])
def test_a_query_without_an_answer_may_not_have_arrived(answer, folder):
    connection, _ = connection_to(answer)
    with pytest.raises((TransportError, ServerError)):
        ask(connection)
    (file,) = folder.glob("*.hour")
    counted = json.loads(file.read_text())["asked"]
    assert len(counted) == (not isinstance(answer, TransportError))


def test_a_short_wait_is_waited_out():
    refused = Answer(429, {"RateLimit": '"project";r=0;t=1'}, b"")
    connection, transport = connection_to(refused, PAGE)
    connection._settings = ClientSettings(Credentials("u", "s", "1"))
    _, _, attempts = ask(connection)
    assert attempts == len(transport.forms) == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (720.0, "come back in 12 min (at 14:05 +0200)"),
        (60.0, "come back in 1 min (at 13:54 +0200)"),
        (61.0, "come back in 2 min (at 13:55 +0200)"),
        (43_200.0, "come back in 720 min (at 01:53 +0200)"),
        (59.0, "try again later"),
        (None, "try again later"),
    ],
)
def test_giving_up_names_the_time_to_come_back(seconds, words):
    now = datetime(2026, 1, 31, 13, 53, tzinfo=timezone(timedelta(hours=2)))
    error = given_up(RateLimitError("used up", retry_after=seconds), 1, now)
    assert str(error) == f"used up; {words}, or allow a longer --max-wait"


def test_a_client_knows_nothing_of_locks_before_it_asks():
    script = """
import sys
from mixpanel_fetch import MixpanelAPIClient
MixpanelAPIClient(username="u", secret="s", project_id=1)
print("filelock" in sys.modules)
"""
    assert started(script).communicate(timeout=60) == ("False\n", "")


def test_the_quota_is_shared_unless_asked_otherwise():
    client = MixpanelAPIClient(username="u", secret="s", project_id=1)
    assert client.settings.shared_quota
