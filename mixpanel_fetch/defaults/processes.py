"""An executor that gives each job a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import ProcessPoolExecutor
from contextlib import suppress
from logging.handlers import QueueHandler
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import FrameType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_PACKAGE = "mixpanel_fetch"
_GRACE = 2.0  # seconds


class Processes(Executor):
    """Calls at the same time, each in a process that the next one uses again.

    A process that dies takes its own call along and no other. Processes are spawned and not
    forked: they inherit no hub, no connection and no lock. They end with this process, however it
    ends. What a call logs is logged here once it has returned.
    """

    def __init__(self, max_workers: int) -> None:
        self._threads = ThreadPoolExecutor(max_workers, "job", self._take_process)
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._processes: set[_Process] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call ``fn`` in a process, as soon as one is free."""
        return self._threads.submit(self._call, fn, args, kwargs)

    def stop_running(self, ask: Callable[[], None]) -> None:
        """Have ``ask`` called in every process."""
        with self._lock:
            processes = list(self._processes)
        for process in processes:
            process.tell(ask)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; the processes end once the last has returned."""
        self._threads.shutdown(wait=False, cancel_futures=cancel_futures)
        if wait:
            self._end()
        else:
            threading.Thread(target=self._end, name="end of the processes").start()

    def _end(self) -> None:
        self._threads.shutdown(wait=True)
        for process in self._processes:
            process.dismiss()
        while self._processes:
            self._processes.pop().close()

    def _take_process(self) -> None:
        """Give the calling thread a process of its own."""
        process = self._mine.process = _Process()
        with self._lock:
            self._processes.add(process)

    def _call(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        process: _Process = self._mine.process
        try:
            return process.call(fn, args, kwargs)
        except BrokenExecutor:
            never_began = process.ended_unused
            with self._lock:
                self._processes.remove(process)
            process.close()
            self._take_process()
            if never_began:
                raise CancelledError from None
            raise


class _Process:
    """One other process; it begins with the first call. A pool of one breaks alone."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self._line, self._far_end = context.Pipe()
        self._pool = ProcessPoolExecutor(1, context, _begin, (self._far_end,))

    def call(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        """Return what ``fn`` returns there, or raise what it raises."""
        level = logging.getLogger(_PACKAGE).getEffectiveLevel()
        value, records = self._pool.submit(_with_log, level, fn, args, kwargs).result()
        for record in records:
            logging.getLogger(record.name).handle(record)
        return value

    @property
    def ended_unused(self) -> bool:
        """Whether it was told something before its first call, and ended."""
        return self._line.poll()

    def tell(self, ask: Callable[[], None]) -> None:
        """Have ``ask`` called there, now or as soon as the process has begun."""
        with suppress(OSError):  # it has ended
            self._line.send(ask)

    def dismiss(self) -> None:
        """Have the process end at once, whatever it does."""
        self._line.close()

    def close(self) -> None:
        """End the process and wait for it."""
        self.dismiss()
        self._pool.shutdown()
        self._far_end.close()


# What follows runs in the other process.

_used = threading.Event()


def _begin(line: Connection) -> None:
    # Ctrl-C reaches every process of a terminal, and a service manager's SIGTERM may: the parent,
    # which gets it too, says what to do. Should it say nothing, SIGTERM ends this one all the same.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_soon)
    threading.Thread(target=_listen, args=(line,), daemon=True).start()


def _end_soon(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    timer = threading.Timer(_GRACE, os._exit, [128 + number])
    timer.daemon = True
    timer.start()


def _listen(line: Connection) -> None:
    # At the end of the line, the parent let go or is gone: nobody wants what is done here.
    with suppress(EOFError, OSError):
        while True:
            line.recv()()
            if not _used.is_set():  # the first call still imports what it needs, for seconds maybe
                line.send(None)
                break
    os._exit(0)


class _Travelling(QueueHandler):
    """Makes records fit to travel; whichever thread they are of, they are the call's."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        prepared: logging.LogRecord = super().prepare(record)
        prepared.threadName = threading.main_thread().name
        return prepared


def _with_log(
    level: int, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[T, list[logging.LogRecord]]:
    _used.set()
    log, heard = logging.getLogger(_PACKAGE), SimpleQueue[logging.LogRecord]()
    log.setLevel(level)
    log.propagate = False
    log.handlers = [_Travelling(heard)]
    value = fn(*args, **kwargs)
    return value, [heard.get() for _ in range(heard.qsize())]
