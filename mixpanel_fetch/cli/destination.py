"""The option ``--to``, and a destination opened for more than a fetch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mixpanel_fetch.cli.completion.types import DESTINATION

if TYPE_CHECKING:
    from mixpanel_fetch.plan import Sink

T = TypeVar("T")

destination_option = click.option(
    "--to",
    "destination",
    type=DESTINATION,
    metavar="URI",
    help="The destination; else MP_DESTINATION, the file.",
)

_LACKS = {
    "columns": "cannot show properties as columns; duckdb and postgresql can",
    "resume": "keeps no runs; only a sink that can resume does",
    "query": "cannot be queried; duckdb can, and of a Parquet or JSON Lines file DuckDB itself:"
    " read_parquet('FILE'), read_json('FILE')",
}


class OpenSink:
    """A sink at hand. Its calls run in a thread of their own, so that Ctrl-C ends them.

    A driver that waits for its database in the main thread would keep Python from seeing it.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._thread = ThreadPoolExecutor(1, "mp-destination")
        self.engine = sink.engine
        self.label = sink.label
        self.capabilities = sink.capabilities

    def ask(self, question: str, *arguments: Any, **options: Any) -> Any:
        """Call the method ``question`` of the engine, which the capability promises."""
        method = getattr(self._sink.engine, question)
        return self.call(lambda: method(*arguments, **options))

    def call(self, function: Callable[[], T]) -> T:
        """Return what ``function`` returns; what it raises that is not ours names the sink."""
        running: Future[T] = self._thread.submit(self._sink.call, function)
        try:
            return running.result()
        except KeyboardInterrupt:
            interrupt = getattr(self._sink.engine, "interrupt", lambda: None)
            while not running.done():  # an interrupt between two statements ends neither
                interrupt()
                wait([running], 0.1)
            raise

    def close(self) -> None:
        """Let go of everything."""
        try:
            self.call(self._sink.engine.close)
        finally:
            self._thread.shutdown()


@contextmanager
def opened(destination: str | None, capability: str) -> Iterator[OpenSink]:
    """Yield the sink of ``destination``, or of the settings, and close it.

    Raises ConfigError unless it has ``capability``.
    """
    from mixpanel_fetch.assembly import Assembler
    from mixpanel_fetch.config import load_settings
    from mixpanel_fetch.errors import ConfigError

    settings = load_settings(destination=destination)
    sink = Assembler(settings=settings).sink(settings.destination)
    if capability not in sink.capabilities:
        raise ConfigError(f"{sink.label} {_LACKS[capability]}")
    with closing(OpenSink(sink)) as open_sink:
        yield open_sink
