from __future__ import annotations

from collections.abc import Callable

import mixpanel_fetch_redact
import pytest

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.plugins import PluginHost, Provider
from mixpanel_fetch.protocols import Transform

KEY = "0123456789abcdef-fedcba9876543210"


@pytest.fixture(autouse=True)
def key(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The key in use; no test sees the settings of the machine it runs on."""
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
