"""What a run is to do: the table, the query, and the plugins that carry it out, by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Event
from typing import Any

from mixpanel_fetch.batch import Batch
from mixpanel_fetch.client import ClientSettings
from mixpanel_fetch.errors import MixpanelFetchError, PluginError
from mixpanel_fetch.events import Listener
from mixpanel_fetch.hookspecs import require_mode
from mixpanel_fetch.model import Mode, ProfileBatchProgress, ProfileQuery
from mixpanel_fetch.paging import Paging
from mixpanel_fetch.plugins import PluginHost, Registered, one_line_of
from mixpanel_fetch.protocols import FetchStrategy, Gate, StorageEngine, Transform
from mixpanel_fetch.sync import SyncOrder, SyncWish
from mixpanel_fetch.tolerance import Tolerance

_LONGEST_TEXT = 16_384  # characters of a query that a fingerprint holds as they are


@dataclass(frozen=True)
class NamedTransform:
    """A transform as the user wrote it, and what makes it this one and no other.

    ``identity`` names argument, options and the distribution's version: part of a fingerprint.
    """

    label: str
    identity: str
    function: Transform
    registered: Registered[Any] | None = None

    def __call__(self, batch: Batch) -> Batch:
        """Return the transformed batch; None becomes an empty one. Raises PluginError."""
        try:
            result = self.function(batch)
        except MixpanelFetchError:
            raise
        except Exception as error:
            raise self._fault(one_line_of(error)) from error
        if result is None:
            return Batch()
        if not isinstance(result, Batch):
            raise self._fault(f"it returned {type(result).__name__}, not a Batch or None")
        return result

    def _fault(self, words: str) -> PluginError:
        who = self.registered or f"the transform {self.label}"
        return PluginError(f"{who} failed: {words}", exit_code=1)


@dataclass(frozen=True)
class Sink:
    """A storage engine and how to speak of it; ``label`` holds no secret."""

    engine: StorageEngine
    label: str
    capabilities: frozenset[str] = frozenset()
    registered: Registered[Any] | None = None

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call into the sink; what it raises that is not ours names the plugin. Raises that."""
        try:
            return function(*args)
        except MixpanelFetchError:
            raise
        except Exception as error:
            raise self.fault(one_line_of(error)) from error

    def check(self, table: str, mode: Mode) -> None:
        """Raise what keeps ``table`` from being written in ``mode``, before a request is spent."""
        require_mode(self.label, mode, self.capabilities)
        check = getattr(self.engine, "check", None)
        if check is not None:
            check(table, mode)

    def fault(self, words: str) -> PluginError:
        """Return the error that says the sink broke its promise."""
        who = self.registered or f"the sink {self.label}"
        return PluginError(f"{who} failed: {words}", exit_code=1)


@dataclass(frozen=True)
class Plan:
    """One run, ready to go. Built by the services; the pipeline only reads it.

    ``workers``: how many pages the strategy was told to ask for at once.
    """

    table: str
    mode: Mode
    query: ProfileQuery
    sink: Sink
    strategy: FetchStrategy
    strategy_label: str
    transforms: tuple[NamedTransform, ...] = ()
    workers: int = 1
    paging: Paging = field(default_factory=Paging)
    batch_size: int = 1000
    tolerance: Tolerance = field(default_factory=Tolerance)
    resume: bool = False
    sync: SyncWish | None = None
    on_batch_complete: Callable[[ProfileBatchProgress], None] | None = None
    on_event: Listener | None = None
    cancel: Event | None = None
    host: PluginHost | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def is_cancelled(self) -> bool:
        """Whether the caller wants the run to stop."""
        return self.cancel is not None and self.cancel.is_set()

    def gate(self, settings: ClientSettings, gate: Gate) -> Gate:
        """Return what the run's own requests take their slots from: the strategy's word, if any.

        Raises PluginError where the strategy raises.
        """
        own = getattr(self.strategy, "gate", None)
        if own is None:
            return gate
        try:
            made: Gate = own(settings, gate)
        except MixpanelFetchError:
            raise
        except Exception as error:
            raise self.strategy_fault(one_line_of(error)) from error
        return made

    def transformed(self, batch: Batch) -> Batch:
        """Return what the transforms, in the user's order, make of ``batch``."""
        for transform in self.transforms:
            batch = transform(batch)
        return batch

    def strategy_fault(self, words: str) -> PluginError:
        """Return the error that says the strategy broke its promise."""
        return PluginError(f"{self.strategy_label} failed: {words}", exit_code=1)

    def fingerprint(
        self, settings: ClientSettings, page_size: int, order: SyncOrder | None = None
    ) -> Mapping[str, str]:
        """Return what two runs must share for one to go on where the other stopped."""
        kept_in_step = {} if order is None else {"sync": order.text()}
        return kept_in_step | {
            "query": _short(json.dumps(self.query.document(), sort_keys=True)),
            "project": settings.credentials.project_id or "",
            "host": settings.host,
            "page_size": str(page_size),
            "transforms": json.dumps([one.identity for one in self.transforms]),
        }


def _short(text: str) -> str:
    """Return ``text``, or its digest where it is long: a query may name thousands of ids."""
    return text if len(text) <= _LONGEST_TEXT else f"sha256:{sha256(text.encode()).hexdigest()}"
