"""Where credentials come from, and that nothing shows them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from marshmallow import ValidationError

from mixpanel_fetch.defaults.parquet_sink.engine import ParquetEngine
from mixpanel_fetch.defaults.parquet_sink.options import ParquetOptions
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.simulator import EngageSimulator

SECRET, TOKEN = "sEcReT/given+by/hand", "ToKeN/given+by/hand"


@pytest.fixture
def settings(environment_of):
    """Those of a simulator, in the environment."""
    with EngageSimulator(profiles=50) as simulator:
        environment_of(simulator)
        yield


def users(proxy) -> set[str]:
    """Whose signatures the store has seen, and for which region."""
    found = (re.search(r"Credential=(\w+)/\d+/([\w-]+)/", one.authorization) for one in proxy.seen)
    return {" ".join(one.groups()) if one else "nobody" for one in found}


def test_the_environment_says_who_asks(kit, lake, proxy):
    lake.store(kit.batch_of("a"))
    assert users(proxy) == {"AKIDENVIRONMENT us-east-1"}


def test_a_profile_says_who_asks_and_where(kit, lake, proxy, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "aws-credentials").write_text(
        "[default]\naws_access_key_id = AKIDDEFAULT\naws_secret_access_key = x\n"
        "[lake]\naws_access_key_id = AKIDLAKE\naws_secret_access_key = y\n"
    )
    (tmp_path / "aws-config").write_text(
        "[default]\nregion = eu-west-1\n[profile lake]\nregion = eu-central-1\n"
    )
    lake.store(kit.batch_of("a"))
    assert users(proxy) == {"AKIDDEFAULT eu-west-1"}
    proxy.seen.clear()
    lake.store(kit.batch_of("a"), mode="replace", profile="lake")
    assert users(proxy) == {"AKIDLAKE eu-central-1"}
    proxy.seen.clear()
    monkeypatch.setenv("AWS_PROFILE", "lake")
    lake.store(kit.batch_of("a"), mode="replace", region="us-west-2")
    assert users(proxy) == {"AKIDLAKE us-west-2"}


def test_options_say_who_asks_before_the_environment_does(kit, lake, proxy):
    options = {"access_key_id": "AKIDGIVEN", "secret_access_key": SECRET, "session_token": TOKEN}
    lake.store(kit.batch_of("a"), **options)
    assert users(proxy) == {"AKIDGIVEN us-east-1"}


def test_the_option_endpoint_counts_before_the_environment(kit, lake, proxy, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    lake.store(kit.batch_of("a"), endpoint=f"{proxy.url}/")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    lake.store(kit.batch_of("a"), mode="replace")
    assert lake.ids() == ["a"]


def test_without_any_it_is_said_where_they_could_be(lake, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(ConfigError, match=r"^there are no AWS credentials: set AWS_ACCESS_KEY_ID"):
        ParquetEngine(lake.location).check("users", "create")


def test_an_unknown_profile_is_named(lake):
    with pytest.raises(ConfigError, match=r"^AWS credentials: .*\(nobody\)"):
        ParquetEngine(lake.location, profile="nobody").check("users", "create")


@pytest.mark.parametrize("bucket", [f"AKID:{SECRET}@bucket", "sEcReT@bucket"])
def test_credentials_in_the_location_are_refused_and_not_repeated(bucket):
    with pytest.raises(ConfigError, match="credentials come from") as caught:
        ParquetEngine(f"s3://{bucket}/x")
    assert "sEcReT" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_key_id": "a"},
        {"secret_access_key": "s"},
        {"session_token": "t"},
        {"endpoint": "127.0.0.1:9000"},
        {"endpoint": "ftp://host"},
        {"endpoint": "http://user:pw@host"},
        {"endpoint": "http://host:port"},
        {"timeout": "0"},
        {"partition": "month"},
    ],
)
def test_options_are_checked(wrong):
    with pytest.raises(ValidationError) as caught:
        ParquetOptions().load(wrong)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{}, {"bucket": "no-such-bucket"}, {"endpoint": "http://127.0.0.1:1"}]
)
@pytest.mark.usefixtures("settings")
def test_mp_shows_no_secret(lake, tmp_path, monkeypatch, wrong):
    """Options of the file, of an argument and of the URI, in success and in failure."""
    (tmp_path / "config.toml").write_text(f'[plugins.parquet]\nsession_token = "{TOKEN}"\n')
    (tmp_path / "config.toml").chmod(0o600)
    monkeypatch.setenv("MP_CONFIG", str(tmp_path / "config.toml"))
    bucket = wrong.get("bucket", lake.bucket)
    uri = f"parquet://s3://{bucket}/lake/{{table}}?access_key_id=AKIDGIVEN&timeout=1"
    command = [str(Path(sys.executable).parent / "mp"), "fetch", "profiles", "-vv", "--to", uri]
    command += ["-o", f"secret_access_key={SECRET}"]
    command += [f"-oendpoint={wrong['endpoint']}"] if "endpoint" in wrong else []
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == (3 if wrong else 0), done.stderr
    shown = done.stdout + done.stderr
    for secret in ("AKIDGIVEN", SECRET, TOKEN):
        assert secret not in shown
    if not wrong:
        assert json.loads(done.stdout)["total_rows"] == 50
