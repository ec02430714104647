"""The tree of exceptions: exit codes, and the way to another process."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime, timezone

import pytest

from mixpanel_fetch import errors
from mixpanel_fetch.errors import (
    AuthenticationError,
    ConfigError,
    DriftError,
    FetchInterruptedError,
    IncompleteFetchError,
    JobsBusyError,
    MixpanelFetchError,
    PaymentRequiredError,
    PluginError,
    QueryError,
    RateLimitError,
    ReaderGoneError,
    ServerError,
    SessionExpiredError,
    StorageError,
    TableExistsError,
    TableNotFoundError,
    TransportError,
)
from mixpanel_fetch.result import FetchResult

EXIT_CODES = {
    MixpanelFetchError: 1,
    AuthenticationError: 2,
    PaymentRequiredError: 2,
    RateLimitError: 1,
    ServerError: 1,
    QueryError: 3,
    SessionExpiredError: 1,
    TransportError: 1,
    TableExistsError: 3,
    TableNotFoundError: 3,
    StorageError: 1,
    ReaderGoneError: 141,
    DriftError: 1,
    PluginError: 3,
    ConfigError: 3,
    FetchInterruptedError: 130,
    IncompleteFetchError: 1,
    JobsBusyError: 1,
}
RESULT = FetchResult(
    table="t", total_rows=1, duration_seconds=1, fetched_at=datetime.now(timezone.utc)
)


def made(kind):
    needs = {"result": RESULT} if kind is IncompleteFetchError else {}
    return kind("what is wrong", **needs)


EVERY = [
    *map(made, EXIT_CODES),
    RateLimitError("m", retry_after=3.5, limit="hourly"),
    ServerError("m", status=503, transient=False, retry_after=9.0),
    TransportError("m", transient=False),
    PluginError("m", exit_code=1),
    ConfigError(),
    ConfigError("two", "arguments"),
]


def test_the_table_of_exit_codes_is_complete():
    kinds = {one for one in vars(errors).values() if isinstance(one, type)}
    assert {kind for kind in kinds if issubclass(kind, Exception)} == set(EXIT_CODES)


@pytest.mark.parametrize(("kind", "code"), EXIT_CODES.items())
def test_each_kind_knows_its_exit_code_and_is_one_of_ours(kind, code):
    error = made(kind)
    assert error.exit_code == code
    assert isinstance(error, MixpanelFetchError)
    assert str(error) == "what is wrong"
    assert error.attempts == 1


@pytest.mark.parametrize("twin", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_an_error_travels_with_everything_it_knows(error, twin):
    error.attempts = 4
    again = twin(error)
    assert type(again) is type(error)
    assert again.args == error.args
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert (again.exit_code, again.attempts) == (error.exit_code, 4)


class PluginsOwnError(ServerError):
    def __init__(self, shard: int) -> None:
        super().__init__(f"shard {shard} is down", status=500)
        self.shard = shard


def test_an_error_of_a_plugin_travels_too():
    again = pickle.loads(pickle.dumps(PluginsOwnError(7)))
    assert (str(again), again.shard, again.status) == ("shard 7 is down", 7, 500)


def test_what_is_not_said_is_not_made_up():
    assert (RateLimitError("m").retry_after, RateLimitError("m").limit) == (None, "unknown")
    server = ServerError("m")
    assert (server.status, server.transient, server.retry_after) == (None, True, None)
    assert TransportError("m").transient
