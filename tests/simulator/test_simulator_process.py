from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixpanel_fetch.simulator import (
    EngageSimulator,
    Fault,
    RawProfile,
    SimulatorConfig,
    SimulatorProcess,
    SyntheticProfiles,
    awkward_profiles,
)
from mixpanel_fetch.simulator.__main__ import serve
from mixpanel_fetch.simulator.config_json import config_from_json, config_to_json


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_the_end_of(pid):
    deadline = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_process_has_the_face_of_the_thread(client):
    with SimulatorProcess(profiles=25, page_size=10) as simulator:
        assert client.rows(simulator) == list(SyntheticProfiles(25))
        stats = simulator.stats
        assert stats.pages == {0: 1, 1: 1, 2: 1}
        assert stats.pages[7] == 0
        assert (stats.max_in_flight, stats.sessions, stats.counted_queries) == (1, 1, 1)
        assert stats.requests[0].headers["authorization"] == "Basic ***"
        simulator.reset_stats()
        assert simulator.stats.received == 0
        simulator.set_faults([Fault(0, "503", retry_after="1"), Fault(0, "empty", after=1)])
        assert client.ask(simulator).status_code == 503
        assert client.ask(simulator).json()["results"] == []
        assert simulator.stats.faults == {"503": 1, "empty": 1}
        assert simulator.stats.statuses == {503: 1, 200: 1}
        pid = simulator.pid
    assert not is_alive(pid)


def test_process_takes_profiles_and_all_else(client):
    rows = awkward_profiles(100)
    config = SimulatorConfig(
        profiles=rows,
        page_size=30,
        tls=True,
        groups={"-5": [{"$distinct_id": "g", "$properties": {"text": "\ud800"}}]},
        cohorts={7: {"awkward-0000000"}},
        page_latency={1: 0.01},
        faults=[Fault(3, "500")],
    )
    with SimulatorProcess(config) as simulator:
        assert simulator.base_url.startswith("https://")
        assert simulator.stats.received == 0
        session_id = client.ask(simulator).json()["session_id"]
        body = client.ask(simulator, page=1, session_id=session_id).content
        assert client.ask(simulator, page=3, session_id=session_id).status_code == 500
        assert client.ids(simulator, filter_by_cohort='{"id": 7}') == ["awkward-0000000"]
        assert client.rows(simulator, data_group_id="-5")[0]["$properties"] == {"text": "\ud800"}
        assert Path(simulator.ca_bundle).exists()
    for row in rows[30:60]:
        assert row.raw in body


def test_process_ends_when_its_parent_dies():
    parent = (
        "import os, sys\n"
        "from mixpanel_fetch.simulator import SimulatorProcess\n"
        "simulator = SimulatorProcess(profiles=1)\n"
        "simulator.start()\n"
        "print(simulator.pid, flush=True)\n"
        "os._exit(1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, check=False
    )
    wait_for_the_end_of(int(done.stdout))


def test_process_that_does_not_end_by_itself_is_killed(monkeypatch):
    monkeypatch.setattr("mixpanel_fetch.simulator.process._STOP_SECONDS", 0.2)
    with SimulatorProcess(profiles=1) as simulator:
        os.kill(simulator.pid, signal.SIGSTOP)
        pid = simulator.pid
    assert not is_alive(pid)


def test_process_that_is_gone_can_still_be_stopped():
    with SimulatorProcess(profiles=1) as simulator:
        os.kill(simulator.pid, signal.SIGKILL)
        wait_until_zombie(simulator.pid)


def wait_until_zombie(pid):
    deadline = time.monotonic() + 10
    while " Z " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_process_that_cannot_serve_says_so(capfd):
    with EngageSimulator() as taken:
        port = int(taken.base_url.rsplit(":", 1)[1])
        simulator = SimulatorProcess(port=port)
        with pytest.raises(RuntimeError, match="ended before it served"):
            simulator.start()
    assert "in use" in capfd.readouterr().err
    simulator.stop()


def test_process_must_run_to_have_a_place():
    simulator = SimulatorProcess()
    for name in ("base_url", "pid", "stats"):
        with pytest.raises(RuntimeError, match="not running"):
            getattr(simulator, name)
    assert simulator.ca_bundle is None
    with simulator, pytest.raises(RuntimeError, match="already"):
        simulator.start()


@pytest.mark.parametrize(
    ("method", "action", "body", "status"),
    [
        ("GET", "stats", "", 200),
        ("POST", "reset", "", 200),
        ("POST", "faults", '[{"page": 0, "kind": "500"}]', 200),
        ("POST", "faults", '[{"page": 0, "kind": "teapot"}]', 400),
        ("POST", "faults", "{", 400),
        ("GET", "faults", "", 404),
        ("GET", "other", "", 404),
    ],
)
def test_control_path_of_the_thread_form(client, method, action, body, status):
    with EngageSimulator() as simulator:
        response = client._session.request(
            method, f"{simulator.base_url}/_simulator/{action}", data=body, timeout=5
        )
        assert response.status_code == status
        assert isinstance(response.json(), dict)
        assert simulator.stats.received == 0
        assert client.ask(simulator).ok == ((action, status) != ("faults", 200))


def test_faults_that_the_child_refuses_are_an_error():
    with SimulatorProcess(profiles=1) as simulator:
        fault = Fault(0, "500")
        object.__setattr__(fault, "kind", "teapot")
        with pytest.raises(RuntimeError, match="teapot"):
            simulator.set_faults([fault])


def test_config_survives_the_way_through_json(tmp_path):
    config = SimulatorConfig(
        profiles=SyntheticProfiles(5, "wide", 3),
        cohorts={1: ["a", 2]},
        page_latency={3: 0.5},
        faults=(Fault(None, "slow", None, seconds=0.5),),
        groups={"9": SyntheticProfiles(2)},
    )
    read = config_from_json(config_to_json(config, tmp_path))
    assert list(read.profiles) == list(config.profiles)
    assert list(read.groups["9"]) == list(config.groups["9"])
    assert (read.cohorts, read.page_latency) == (config.cohorts, config.page_latency)
    assert list(read.faults) == list(config.faults)


def test_raw_profiles_may_span_lines(tmp_path):
    config = SimulatorConfig(profiles=[RawProfile(b'{"$distinct_id":\n1}'), b"{}", {"a": 1}])
    read = config_from_json(config_to_json(config, tmp_path))
    assert read.profiles == [b'{"$distinct_id": 1}', b"{}", b'{"a":1}']


def test_empty_config_is_the_default():
    assert config_from_json("") == SimulatorConfig()
    assert config_from_json('{"profiles": [{"$distinct_id": "a"}]}').profiles == [
        {"$distinct_id": "a"}
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"profile": 1}',
        '{"profiles": "many"}',
        '{"profiles": -1}',
        '{"kind": "tall"}',
        '{"page_size": 0}',
        '{"total_on": "last"}',
        '{"faults": [{"kind": "500"}]}',
        '{"faults": [{"page": 1, "kind": "x"}]}',
        '{"cohorts": {"x": []}}',
    ],
)
def test_impossible_config_is_one_line_and_exit_3(text, capsys):
    assert serve(io.BytesIO(text.encode()), io.StringIO()) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("simulator: ")
    assert err.count("\n") == 1


def test_serves_until_stdin_ends():
    out = io.StringIO()
    assert serve(io.BytesIO(b'{"profiles": 3}\nmore'), out) == 0
    place = json.loads(out.getvalue())
    assert place["base_url"].startswith("http://127.0.0.1:")
    assert place["ca_bundle"] is None


def test_interrupt_ends_it_quietly():
    child = subprocess.Popen(
        [sys.executable, "-m", "mixpanel_fetch.simulator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with child:
        child.stdin.write(b"{}\n")
        child.stdin.flush()
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 130
        assert child.stderr.read() == b""


def test_interrupt_while_reading():
    class Interrupted(io.BytesIO):
        def read(self, size=-1):
            raise KeyboardInterrupt

    assert serve(Interrupted(b"{}\n"), io.StringIO()) == 130
