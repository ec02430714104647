"""A fetch in a thread of its own, which hands on each page and stops when it is told to."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass, replace
from functools import cache
from threading import Event

from mixpanel_fetch.assembly import Assembler, FetchRequest
from mixpanel_fetch.batch import Batch
from mixpanel_fetch.client import MixpanelAPIClient
from mixpanel_fetch.hookspecs import BaseEngine, BaseLoad
from mixpanel_fetch.model import Mode, ProfileBatchProgress, RunInfo
from mixpanel_fetch.pipeline import run_plan
from mixpanel_fetch.result import FetchResult, ParallelProfileFetchResult, RunResult
from mixpanel_fetch.streaming.handover import Handover, start_native_thread

_PLACES = 2  # pages: one that the caller works on, and one that is ready


@dataclass(frozen=True)
class End:
    """How the run ended: with a result, or with an error."""

    result: RunResult | None = None
    error: BaseException | None = None


Passed = Batch | ProfileBatchProgress | End
"""What is handed on: pages, what became of them if that is wanted, and the end, always."""


class Fetch:
    """The run in a thread of its own; ``process`` is the one that has begun it."""

    def __init__(
        self, client: MixpanelAPIClient, assembler: Assembler, request: FetchRequest
    ) -> None:
        self.handover: Handover[Passed] = Handover(_PLACES)
        self.started = False
        self.process = 0
        self._stop = _Stop(request.cancel)
        told = None if request.on_batch_complete is None else self.handover.tell
        request = replace(request, cancel=self._stop, on_batch_complete=told)
        self._client = client
        self._plan = assembler.plan(request, _StreamEngine(self.handover))
        self._kind = ParallelProfileFetchResult if request.parallel else FetchResult

    def start(self) -> None:
        """Begin, if that has not been done yet."""
        if not self.started:
            self.started, self.process = True, os.getpid()
            _stop_all_at_exit()
            _under_way.add(self)
            start_native_thread(self._run, "mixpanel-fetch-stream")

    def stop(self) -> None:
        """Have the run end soon. From any thread, at any time."""
        self._stop.set()
        self.handover.close()

    def _run(self) -> None:
        try:
            end = End(result=run_plan(self._client, self._plan, self._kind))
        except BaseException as error:  # noqa: BLE001  (raised again where it is taken)
            end = End(error=error)
        self.handover.end(end)
        _under_way.discard(self)


_under_way: set[Fetch] = set()


@cache
def _stop_all_at_exit() -> None:
    atexit.register(_stop_all)


def _stop_all() -> None:
    """End every fetch before the interpreter does: it cannot take their threads' ground away."""
    mine = [fetch for fetch in tuple(_under_way) if fetch.process == os.getpid()]
    for fetch in mine:
        fetch.stop()
    for fetch in mine:
        while not isinstance(fetch.handover.take(), End):
            pass


class _Stop(Event):
    """Set by the stream, or as soon as the caller's own event is."""

    def __init__(self, other: Event | None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or (self._other is not None and self._other.is_set())


class _StreamEngine(BaseEngine):
    """A sink that hands on what it is given, and waits while the reader is behind."""

    label = "stream"
    capabilities = frozenset({"stream"})

    def __init__(self, handover: Handover[Passed]) -> None:
        self._handover = handover

    def begin(self, table: str, mode: Mode, run: RunInfo) -> _StreamLoad:  # noqa: ARG002
        return _StreamLoad(self._handover)

    def interrupt(self) -> None:
        self._handover.close()


class _StreamLoad(BaseLoad):
    def __init__(self, handover: Handover[Passed]) -> None:
        self._handover = handover

    def write(self, page_index: int, batch: Batch) -> int:  # noqa: ARG002
        if len(batch):
            self._handover.put(batch)
        return len(batch)
