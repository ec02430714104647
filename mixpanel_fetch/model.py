"""The values that travel through a fetch. All are frozen; none knows where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, get_args

from mixpanel_fetch.batch import Batch as Batch
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.query import ProfileQuery as ProfileQuery
from mixpanel_fetch.secret import Secret as Secret
from mixpanel_fetch.sync import SyncOrder

Mode = Literal["create", "append", "replace", "merge"]
MODES: tuple[Mode, ...] = get_args(Mode)
REGIONS = {"us": "mixpanel.com", "eu": "eu.mixpanel.com", "in": "in.mixpanel.com"}
"""Region to host (Mixpanel's API overview, "Servers")."""


@dataclass(frozen=True)
class Credentials:
    """Who asks, for which project, in which region.

    A service account has ``username`` and ``secret``, and needs ``project_id``; a project secret
    (``api_secret``) stands alone and is retired by Mixpanel on 2027-03-03. ``region`` is ``us``,
    ``eu`` or ``in``; ``workspace_id`` is that of a data view. Raises ConfigError for credentials
    that could not work.
    """

    username: str | None = None
    secret: Secret | None = None
    project_id: str | None = None
    region: str = "us"
    workspace_id: str | None = None
    api_secret: Secret | None = None

    def __post_init__(self) -> None:
        for name in ("secret", "api_secret"):
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, Secret(value))
        for name in ("project_id", "workspace_id"):
            value = getattr(self, name)
            if value is not None and not (str(value).isascii() and str(value).isdigit()):
                raise ConfigError(
                    f"{name} must be a number, not a token or a name; Mixpanel's project settings"
                    " show it"
                )
            object.__setattr__(self, name, None if value is None else str(value))
        if self.region not in REGIONS:
            raise ConfigError(f"unknown region {self.region!r}; it is one of us, eu, in")
        if self.api_secret:
            return
        if not (self.username and self.secret):
            raise ConfigError(
                "no credentials: `mp auth add NAME` stores some, or set MP_USERNAME and MP_SECRET"
                " (a service account) and MP_PROJECT_ID; `mp demo` needs none"
            )
        if not self.project_id:
            raise ConfigError(
                "a service account needs a project: set MP_PROJECT_ID, or project_id of the account"
            )


@dataclass(frozen=True)
class Rejection:
    """A row without a usable id or properties: where it stood in its page, and why it was left."""

    page: int
    position: int
    reason: str


@dataclass(frozen=True)
class Page:
    """One page as it came: ``rows_received`` counts rejected rows too.

    ``bytes_received`` is the decoded body's length, ``attempts`` the requests it took,
    ``repaired_values`` how many values no JSON reader would have taken as they were.
    ``rows_missing``: how many rows due from the page did not come.
    """

    index: int
    batch: Batch
    rows_received: int
    bytes_received: int = 0
    attempts: int = 1
    rejected: tuple[Rejection, ...] = field(default_factory=tuple)
    repaired_values: int = 0
    rows_missing: int = 0


class UnreadPage(Page):
    """A page whose ``batch`` and ``rejected`` are read when they are first looked at.

    Reading the rows is most of the work that a page makes, and the next request need not wait
    for it. ``read`` may raise a MixpanelFetchError.
    """

    def __init__(
        self, read: Callable[[], tuple[Batch, tuple[Rejection, ...]]], **figures: Any
    ) -> None:
        defaults = {"bytes_received": 0, "attempts": 1, "repaired_values": 0, "rows_missing": 0}
        vars(self).update(defaults | figures, _read=read)

    def __getattr__(self, name: str) -> Any:
        if name not in {"batch", "rejected"} or "_read" not in vars(self):
            raise AttributeError(name)
        batch, rejected = vars(self)["_read"]()
        del vars(self)["_read"]  # and with it the page's text
        vars(self).update(batch=batch, rejected=rejected)
        return vars(self)[name]

    def __reduce__(self) -> tuple[Any, ...]:
        return Page, tuple(getattr(self, each.name) for each in fields(Page))


@dataclass(frozen=True)
class PageFailure:
    """A page that could not be had (``stage="fetch"``) or transformed (``stage="transform"``)."""

    index: int
    stage: Literal["fetch", "transform"]
    error: BaseException
    attempts: int = 1


@dataclass(frozen=True)
class ProfileBatchProgress:
    """One page has landed, or failed for good.

    ``rows`` is what landed of it; ``total_pages`` the number of pages in the run.
    """

    page_index: int
    total_pages: int
    rows: int
    success: bool
    error: str | None = None

    def __post_init__(self) -> None:
        if self.page_index < 0 or self.rows < 0:
            raise ValueError("page_index and rows cannot be negative")
        if self.total_pages <= self.page_index:
            raise ValueError("page_index must be below total_pages")
        if self.success and self.error is not None:
            raise ValueError("a page that succeeded has no error")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON-able document of this progress."""
        from mixpanel_fetch.schemas import ProgressSchema

        return dict(ProgressSchema().dump(self))


@dataclass(frozen=True)
class RunInfo:
    """What is known of a run once page 0 is there. ``destination`` never holds a secret.

    ``total`` is the number of matching profiles that page 0 announced; ``page_size`` the rows a
    full page holds, ``asked_page_size`` what was asked for (None: the server's own);
    ``transforms`` the chain as the user wrote it, in order; ``batch_size`` the most rows that one
    INSERT may carry, for sinks that insert.
    """

    run_id: str
    table: str
    mode: Mode
    query: ProfileQuery
    session_id: str | None
    total: int | None
    page_size: int
    total_pages: int
    transforms: tuple[str, ...]
    fingerprint: Mapping[str, str]
    started_at: datetime
    destination: str
    batch_size: int = 1000
    asked_page_size: int | None = None

    @property
    def sync(self) -> SyncOrder | None:
        """What to do to keep the table in step; None for a run that only lands what it fetched."""
        return SyncOrder.of_text(self.fingerprint.get("sync"))


@dataclass(frozen=True)
class LoadReport:
    """What a sink says of a published load; None where it does not know.

    ``total_rows``: rows of this run now in the table. ``duplicate_rows``: rows that another row
    of the same id in this run replaced. ``inserted`` and ``updated``: rows new to the table, and
    rows that were there before. ``repaired_values``: values the sink had to replace. Of a run that
    keeps a table in step: ``updated`` are those that differ, ``unchanged`` the others that were
    there, ``gone`` those that did not come any more.
    """

    total_rows: int | None = None
    inserted: int | None = None
    updated: int | None = None
    duplicate_rows: int = 0
    repaired_values: int = 0
    unchanged: int | None = None
    gone: int | None = None


RunStatus = Literal["running", "suspended", "partial", "complete", "aborted"]


@dataclass(frozen=True)
class RunRecord:
    """A run as a destination remembers it: what it was, how it ended, which pages it holds.

    ``notes``: those of the landed pages whose batch carried one, by page index; of a complete run,
    too.
    """

    info: RunInfo
    status: RunStatus
    landed_pages: frozenset[int] = frozenset()
    total_rows: int | None = None
    finished_at: datetime | None = None
    notes: Mapping[int, str] = field(default_factory=dict)

    @property
    def missing_pages(self) -> tuple[int, ...]:
        """The pages of the run that never landed, in order."""
        return tuple(i for i in range(self.info.total_pages) if i not in self.landed_pages)
