"""The public names, and what importing the package costs."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import mixpanel_fetch

# design.md, section 3.
PROMISED = [
    "Workspace",
    "MixpanelAPIClient",
    "FetcherService",
    "ParallelProfileFetcherService",
    "FetchResult",
    "ParallelProfileFetchResult",
    "ProfileBatchProgress",
    "ProfileQuery",
    "Batch",
    "Page",
    "PageFailure",
    "RunInfo",
    "Secret",
    "StorageEngine",
    "TableLoad",
    "hookimpl",
    "SinkSpec",
    "TransformSpec",
    "StrategySpec",
    "MixpanelFetchError",
    "AuthenticationError",
    "PaymentRequiredError",
    "RateLimitError",
    "ServerError",
    "QueryError",
    "SessionExpiredError",
    "TransportError",
    "TableExistsError",
    "TableNotFoundError",
    "PluginError",
    "ConfigError",
]
HEAVY = {"gevent", "requests", "duckdb", "click", "marshmallow", "pluggy", "msgspec", "urllib3"}


def modules_after(statement):
    code = f"import sys; {statement}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stderr == ""
    return {name.partition(".")[0] for name in run.stdout.split()}


@pytest.mark.parametrize("name", PROMISED)
def test_a_promised_name_is_there(name):
    namespace = {}
    exec(f"from mixpanel_fetch import {name}", namespace)
    assert namespace[name].__name__ == name if name != "hookimpl" else callable(namespace[name])
    assert name in mixpanel_fetch.__all__


@pytest.mark.parametrize("name", mixpanel_fetch.__all__)
def test_every_public_name_is_there_and_listed(name):
    assert getattr(mixpanel_fetch, name) is not None
    assert name in dir(mixpanel_fetch)


def test_type_checkers_and_the_interpreter_see_the_same_names():
    tree = ast.parse(Path(mixpanel_fetch.__file__).read_text(encoding="utf-8"))
    (guarded,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: f"{node.module}.{alias.name}" for node in guarded.body for alias in node.names
    }
    assert {*seen, "__version__"} == set(mixpanel_fetch.__all__)
    for name, path in seen.items():
        module, _, attribute = path.rpartition(".")
        assert getattr(importlib.import_module(module), attribute) is getattr(mixpanel_fetch, name)


def test_no_name_is_listed_twice():
    assert len(mixpanel_fetch.__all__) == len(set(mixpanel_fetch.__all__))


def test_every_exception_of_ours_is_public():
    from mixpanel_fetch import errors

    ours = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, errors.MixpanelFetchError)
    }
    assert ours <= set(mixpanel_fetch.__all__)


def test_a_star_import_brings_exactly_the_public_names():
    namespace = {}
    exec("from mixpanel_fetch import *", namespace)
    del namespace["__builtins__"]
    assert set(namespace) == set(mixpanel_fetch.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(
        AttributeError, match="module 'mixpanel_fetch' has no attribute 'Wrokspace'"
    ):
        mixpanel_fetch.Wrokspace  # noqa: B018
    with pytest.raises(ImportError):
        exec("from mixpanel_fetch import Wrokspace")
    assert not hasattr(mixpanel_fetch, "__path_of_nothing__")


def test_importing_the_package_imports_nothing_heavy():
    assert modules_after("import mixpanel_fetch; mixpanel_fetch.__version__") & HEAVY == set()


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("ConfigError", HEAVY),
        ("Secret", HEAVY),
        ("Batch", HEAVY - {"msgspec"}),
        ("RunInfo", HEAVY - {"msgspec"}),
        ("StorageEngine", HEAVY - {"msgspec"}),
        ("FetchResult", HEAVY - {"msgspec"}),
        ("hookimpl", HEAVY - {"msgspec", "pluggy"}),
        ("Workspace", {"duckdb"}),
    ],
)
def test_a_name_imports_only_what_it_needs(name, without):
    assert modules_after(f"from mixpanel_fetch import {name}") & without == set()


def test_importing_everything_patches_nothing():
    code = (
        "import socket, ssl, threading, time, logging\n"
        "def state(): return (socket.socket, ssl.SSLContext, threading.Lock, time.sleep,"
        " threading.active_count(), logging.getLogger().handlers)\n"
        "before = state()\n"
        "from mixpanel_fetch import *\n"
        "assert state() == before\n"
        "import gevent.monkey\n"
        "assert not gevent.monkey.saved\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (run.returncode, run.stderr) == (0, "")
