from __future__ import annotations

import os
from collections.abc import Callable

import mixpanel_fetch_redact
import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.plugins import PluginHost, Provider
from mixpanel_fetch.protocols import Transform

KEY = "0123456789abcdef-fedcba9876543210"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The key in use; no test sees the settings of the machine it runs on."""
    for name in list(os.environ):
        if name.startswith("MP_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("MP_REDACT_KEY", KEY)
    return KEY


@pytest.fixture(scope="session")
def host() -> PluginHost:
    """Every plugin there is, and these transforms, installed or not."""
    host = PluginHost()
    if "hash" not in {one.spec.name for one in host.all()}:
        host.register(mixpanel_fetch_redact, Provider("redact", "mixpanel-fetch-redact"))
    return host


@pytest.fixture
def apply() -> Callable[[Transform, bytes], bytes]:
    """Apply a transform to the properties of one profile."""

    def apply(transform: Transform, properties: bytes) -> bytes:
        result = transform(Batch(["id"], [properties], [None]))
        assert result is not None
        [text] = result.properties
        return text

    return apply
