"""mixpanel-fetch: every Mixpanel profile, concurrently and completely, in a store of your own.

Importing this package patches nothing, configures nothing, loads no plugin; each public name
loads its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mixpanel_fetch._version import __version__ as __version__

if TYPE_CHECKING:
    from mixpanel_fetch.batch import Batch as Batch
    from mixpanel_fetch.client import MixpanelAPIClient as MixpanelAPIClient
    from mixpanel_fetch.cohorts import Cohort as Cohort
    from mixpanel_fetch.errors import AuthenticationError as AuthenticationError
    from mixpanel_fetch.errors import ConfigError as ConfigError
    from mixpanel_fetch.errors import DriftError as DriftError
    from mixpanel_fetch.errors import FetchInterruptedError as FetchInterruptedError
    from mixpanel_fetch.errors import IncompleteFetchError as IncompleteFetchError
    from mixpanel_fetch.errors import JobsBusyError as JobsBusyError
    from mixpanel_fetch.errors import MixpanelFetchError as MixpanelFetchError
    from mixpanel_fetch.errors import PaymentRequiredError as PaymentRequiredError
    from mixpanel_fetch.errors import PluginError as PluginError
    from mixpanel_fetch.errors import QueryError as QueryError
    from mixpanel_fetch.errors import RateLimitError as RateLimitError
    from mixpanel_fetch.errors import ReaderGoneError as ReaderGoneError
    from mixpanel_fetch.errors import ServerError as ServerError
    from mixpanel_fetch.errors import SessionExpiredError as SessionExpiredError
    from mixpanel_fetch.errors import StorageError as StorageError
    from mixpanel_fetch.errors import TableExistsError as TableExistsError
    from mixpanel_fetch.errors import TableNotFoundError as TableNotFoundError
    from mixpanel_fetch.errors import TransportError as TransportError
    from mixpanel_fetch.filters import NOW as NOW
    from mixpanel_fetch.filters import Behavior as Behavior
    from mixpanel_fetch.filters import F as F
    from mixpanel_fetch.filters import Filter as Filter
    from mixpanel_fetch.hookspecs import BaseEngine as BaseEngine
    from mixpanel_fetch.hookspecs import BaseLoad as BaseLoad
    from mixpanel_fetch.hookspecs import ExecutorSpec as ExecutorSpec
    from mixpanel_fetch.hookspecs import SinkSpec as SinkSpec
    from mixpanel_fetch.hookspecs import StrategySpec as StrategySpec
    from mixpanel_fetch.hookspecs import TransformSpec as TransformSpec
    from mixpanel_fetch.hookspecs import hookimpl as hookimpl
    from mixpanel_fetch.joboutcome import JobOutcome as JobOutcome
    from mixpanel_fetch.jobs import Job as Job
    from mixpanel_fetch.jobs import read_jobs as read_jobs
    from mixpanel_fetch.many import fetch_many as fetch_many
    from mixpanel_fetch.model import Credentials as Credentials
    from mixpanel_fetch.model import LoadReport as LoadReport
    from mixpanel_fetch.model import Page as Page
    from mixpanel_fetch.model import PageFailure as PageFailure
    from mixpanel_fetch.model import ProfileBatchProgress as ProfileBatchProgress
    from mixpanel_fetch.model import ProfileQuery as ProfileQuery
    from mixpanel_fetch.model import RunInfo as RunInfo
    from mixpanel_fetch.model import RunRecord as RunRecord
    from mixpanel_fetch.progress_callback import ProgressCallback as ProgressCallback
    from mixpanel_fetch.protocols import FetchStrategy as FetchStrategy
    from mixpanel_fetch.protocols import PageSource as PageSource
    from mixpanel_fetch.protocols import QueryableEngine as QueryableEngine
    from mixpanel_fetch.protocols import ResumableEngine as ResumableEngine
    from mixpanel_fetch.protocols import StorageEngine as StorageEngine
    from mixpanel_fetch.protocols import TableLoad as TableLoad
    from mixpanel_fetch.query_result import QueryResult as QueryResult
    from mixpanel_fetch.reading import PropertySummary as PropertySummary
    from mixpanel_fetch.reading import TableInfo as TableInfo
    from mixpanel_fetch.reading import TableSummary as TableSummary
    from mixpanel_fetch.result import FetchResult as FetchResult
    from mixpanel_fetch.result import ParallelProfileFetchResult as ParallelProfileFetchResult
    from mixpanel_fetch.secret import Secret as Secret
    from mixpanel_fetch.services import FetcherService as FetcherService
    from mixpanel_fetch.services import (
        ParallelProfileFetcherService as ParallelProfileFetcherService,
    )
    from mixpanel_fetch.streaming import ProfileStream as ProfileStream
    from mixpanel_fetch.sync import SyncState as SyncState
    from mixpanel_fetch.sync import SyncWish as SyncWish
    from mixpanel_fetch.workspace import Workspace as Workspace

_HOMES = {
    "batch": ("Batch",),
    "client": ("MixpanelAPIClient",),
    "cohorts": ("Cohort",),
    "errors": (
        "AuthenticationError",
        "ConfigError",
        "DriftError",
        "FetchInterruptedError",
        "IncompleteFetchError",
        "JobsBusyError",
        "MixpanelFetchError",
        "PaymentRequiredError",
        "PluginError",
        "QueryError",
        "RateLimitError",
        "ReaderGoneError",
        "ServerError",
        "SessionExpiredError",
        "StorageError",
        "TableExistsError",
        "TableNotFoundError",
        "TransportError",
    ),
    "filters": ("NOW", "Behavior", "F", "Filter"),
    "hookspecs": (
        "BaseEngine",
        "BaseLoad",
        "ExecutorSpec",
        "SinkSpec",
        "StrategySpec",
        "TransformSpec",
        "hookimpl",
    ),
    "joboutcome": ("JobOutcome",),
    "jobs": ("Job", "read_jobs"),
    "many": ("fetch_many",),
    "model": (
        "Credentials",
        "LoadReport",
        "Page",
        "PageFailure",
        "ProfileBatchProgress",
        "ProfileQuery",
        "RunInfo",
        "RunRecord",
    ),
    "progress_callback": ("ProgressCallback",),
    "protocols": (
        "FetchStrategy",
        "PageSource",
        "QueryableEngine",
        "ResumableEngine",
        "StorageEngine",
        "TableLoad",
    ),
    "query_result": ("QueryResult",),
    "reading": ("PropertySummary", "TableInfo", "TableSummary"),
    "result": ("FetchResult", "ParallelProfileFetchResult"),
    "secret": ("Secret",),
    "services": ("FetcherService", "ParallelProfileFetcherService"),
    "streaming": ("ProfileStream",),
    "sync": ("SyncState", "SyncWish"),
    "workspace": ("Workspace",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = ["__version__", *sorted(_HOME_OF)]  # noqa: PLE0604  (names are strings, computed)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
