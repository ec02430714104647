"""A fetch that ends while it uploads: nothing shows, what was there stays, parts are taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine
from mixpanel_fetch.errors import StorageError
from mixpanel_fetch.simulator import EngageSimulator


@pytest.fixture(scope="module")
def wide():
    """A simulator whose profiles make a file of four parts."""
    profiles = [
        {"$distinct_id": f"new-{n}", "$properties": {"noise": os.urandom(8_000).hex()}}
        for n in range(2000)
    ]
    with EngageSimulator(profiles=profiles) as simulator:
        yield simulator


def today(lake) -> str:
    """The one object of the day."""
    [key] = [key for key in lake.listed() if key.startswith("lake/users/")]
    return key


@pytest.fixture
def replacing(lake, proxy, wide, environment_of):
    """``mp`` about to replace a snapshot, with an upload that does not go on."""
    environment_of(wide)
    mp = [str(Path(sys.executable).parent / "mp"), "fetch", "profiles", "users", "--to"]
    subprocess.run([*mp, lake_uri(lake), "--where", "false"], check=True, capture_output=True)
    proxy.rule = proxy.hold_parts
    command = [*mp, lake_uri(lake), "--replace", "--parallel", "-o", "compression=uncompressed"]
    process = subprocess.Popen(
        [*command, "-o", "timeout=600"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert proxy.part_came.wait(240)
        yield process
    finally:
        process.kill()
        process.communicate()


def lake_uri(lake) -> str:
    return f"parquet://{lake.location}"


def test_a_killed_upload_leaves_the_old_object_readable(lake, proxy, replacing):
    replacing.send_signal(signal.SIGKILL)
    replacing.wait()
    proxy.let_go.set()
    assert len(lake.listed()) == 1
    assert lake.ids(today(lake)) == []  # the old snapshot, whole


def test_ctrl_c_ends_an_upload_that_the_store_keeps_waiting(lake, replacing):
    replacing.send_signal(signal.SIGINT)
    out, err = replacing.communicate(timeout=240)  # its requests may take ten minutes
    assert (replacing.returncode, "Traceback" in err) == (130, False)
    assert lake.ids(today(lake)) == []
    assert list(lake.temporary.iterdir()) == []
    assert '"interrupted": true' in out


def test_an_interrupted_upload_takes_its_parts_back(kit, lake, proxy):
    lake.store(kit.batch_of("old"))
    engine = ParquetEngine(lake.location, compression="uncompressed")
    load = engine.begin("users", "replace", kit.run_info("replace"))
    for page in range(4):  # more than what may be on its way at once
        load.write(page, kit.batch_of(*(f"{page}-{n}" for n in range(2000)), wide=10_000))

    def interrupt(request):
        if request.part == 1:
            engine.interrupt()

    proxy.rule = interrupt
    with pytest.raises(StorageError, match="interrupted"):
        load.commit()
    engine.close()
    assert lake.uploads() == []
    assert lake.ids() == ["old"]


@pytest.mark.parametrize("patch", ["", "from gevent import monkey; monkey.patch_all()"])
def test_a_workspace_fetches_into_a_store_in_any_process(kit, lake, wide, environment_of, patch):
    environment_of(wide)
    script = f"""
{patch}
from mixpanel_fetch import Workspace
with Workspace(destination={lake_uri(lake)!r}) as workspace:
    result = workspace.fetch_profiles("users", parallel=True, progress=False)
print(result.total_rows)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert (done.stdout, done.stderr) == ("2000\n", "")
    assert len(lake.ids(today(lake))) == 2000
