"""Whole fetches through the pipeline, and what a sink says of itself and of its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mixpanel_fetch.errors import MixpanelFetchError
from mixpanel_fetch.model import ProfileBatchProgress
from mixpanel_fetch.testing.fetching import Collector, fetch
from mixpanel_fetch.testing.promises import assert_one_line, promised
from mixpanel_fetch.testing.sink_bench import SinkBench, batch

if TYPE_CHECKING:
    from mixpanel_fetch.simulator import EngageSimulator

PROFILES, PAGE_SIZE = 120, 25


class SinkFetchTests:
    """The sink in the pipeline, against a simulator with profiles that are odd in many ways."""

    @pytest.mark.parametrize("parallel", [False, True], ids=["sequential", "parallel"])
    def test_a_whole_fetch_stores_every_profile(self, bench: SinkBench, parallel: bool) -> None:
        """The rows of the table are those that the transforms handed on."""
        with _simulator() as simulator:
            reference = Collector()
            fetch(simulator, reference, bench.host, page_size=PAGE_SIZE)
            with promised("a whole fetch into the sink must work"):
                result = bench.fetch(simulator, parallel=parallel, page_size=PAGE_SIZE)
        said = (result.exit_code, result.failed_page_indices, result.rows_received)
        assert said == (0, (), PROFILES), f"a whole fetch must end well, not with {said}"
        bench.assert_holds(reference.pages, "a whole fetch must store every profile as it came")
        found = bench.rows() or []
        assert result.total_rows == len(found), (
            f"the result says total_rows={result.total_rows}, and {len(found)} can be read back"
        )

    def test_a_fetch_that_stops_leaves_the_table_as_it_was(self, bench: SinkBench) -> None:
        """Stopped after some pages, in the way that the pipeline stops."""
        bench.needs("replace")
        before = bench.lay()
        with _simulator() as simulator, pytest.raises(_Stop):
            bench.fetch(simulator, mode="replace", on_batch_complete=_stop_after_two)
        bench.assert_same(before, "a fetch that stops must leave the table as it was")

    def test_a_stopped_fetch_is_resumed(self, bench: SinkBench) -> None:
        """Only the missing pages are asked for, and everything is there."""
        bench.needs("resume")
        reference = Collector()
        with _simulator() as simulator:
            fetch(simulator, reference, bench.host, page_size=PAGE_SIZE)
            with pytest.raises(_Stop):
                bench.fetch(simulator, on_batch_complete=_stop_after_two)
            simulator.reset_stats()
            with promised("a stopped fetch must be resumed"):
                result = bench.fetch(simulator, resume=True)
            # Pages, not requests: one that was under way when the fetch stopped may arrive late.
            asked = len(simulator.stats.pages)
        assert result.exit_code == 0, f"a resumed fetch must end well: {result.warnings}"
        assert asked <= 3, f"of five pages two had landed, and {asked} were asked for"
        bench.assert_holds(reference.pages, "a resumed fetch must store every profile as it came")


class SinkSecretTests:
    """What a user, a log or a stored run may see of a destination."""

    def test_no_secret_is_shown_by_the_engine(self, bench: SinkBench) -> None:
        """Neither ``repr`` nor ``str``, nor the label of the destination."""
        sink = bench.sink()
        shown: tuple[str, ...] = (repr(sink.engine), str(sink.engine), sink.label)
        engine, load = bench.begin(bench.info(), sink.engine)
        shown = (*shown, repr(load), str(load))
        load.abort()
        engine.close()
        _assert_silent(bench, shown, "repr, str and label of an engine and of a load")

    def test_no_secret_is_shown_by_an_error(self, bench: SinkBench) -> None:
        """Not even where a driver quotes the address that it was given: in a traceback, its words
        stand there too (``raise ... from None`` leaves them out).
        """
        errors = [*_errors_of_modes(bench), *_errors_of_unusable(bench)]
        assert errors or bench.streams, "a table that is there must be refused by create"
        words = [text for error in errors for text in _chain(error)]
        _assert_silent(bench, words, "the words of an error")

    def test_no_secret_is_stored(self, bench: SinkBench) -> None:
        """What ``runs`` remembers, and the rows."""
        if not bench.case.secrets:
            pytest.skip("the case names no secrets")
        bench.store({0: batch("a")})
        shown = [repr(bench.case.rows(bench.table))]
        if "resume" in bench.capabilities:
            shown += [repr(record) for record in bench.engine().runs()]
        _assert_silent(bench, shown, "what is stored")

    def test_an_unusable_destination_is_refused(self, bench: SinkBench) -> None:
        """By ``check`` or ``begin``, with an error of ours that is one line."""
        if bench.case.unusable is None:
            pytest.skip("the case names no unusable destination")
        words = "an unusable destination must be refused by check or begin"
        errors = list(_errors_of_unusable(bench))
        assert errors, f"{words}; nothing was raised"
        for error in errors:
            assert isinstance(error, MixpanelFetchError), (
                f"{words} with a ConfigError or StorageError, not {type(error).__name__}: {error}"
            )
            assert_one_line(error)


def _errors_of_modes(bench: SinkBench) -> Iterator[Exception]:
    if bench.streams:
        return
    engine = bench.engine()
    if "append" in bench.capabilities:
        yield from _error_of(bench, engine, bench.info("append"))
    bench.store({0: batch("a")})
    yield from _error_of(bench, bench.engine(), bench.info("create"))


def _errors_of_unusable(bench: SinkBench) -> Iterator[Exception]:
    if bench.case.unusable is None:
        return
    try:
        engine = bench.sink(bench.case.unusable).engine
    except Exception as error:  # noqa: BLE001  (to be looked at)
        yield error
        return
    yield from _error_of(bench, engine, bench.info())


def _error_of(bench: SinkBench, engine: Any, run: Any) -> Iterator[Exception]:
    try:
        bench.begin(run, engine)
    except Exception as error:  # noqa: BLE001  (to be looked at)
        yield error
    engine.close()


def _chain(error: BaseException) -> Iterator[str]:
    """Yield the words of ``error`` and of its causes, which a traceback shows as well."""
    cause: BaseException | None = error
    while cause is not None:
        yield from (str(cause), repr(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _assert_silent(bench: SinkBench, shown: Any, where: str) -> None:
    for secret in bench.case.secrets:
        found = [text for text in shown if secret in text]
        hidden = [text.replace(secret, "<the secret>") for text in found]
        assert not found, f"{where} must not show a secret of the destination: {hidden[0]}"


class _Stop(Exception):  # noqa: N818 - it is the test's own way to stop
    """Raised by a callback to stop a fetch."""


def _stop_after_two(progress: ProfileBatchProgress) -> None:
    if progress.page_index >= 1:
        raise _Stop


@contextmanager
def _simulator() -> Iterator[EngageSimulator]:
    from mixpanel_fetch.simulator import EngageSimulator, awkward_profiles

    with EngageSimulator(profiles=awkward_profiles(PROFILES)) as simulator:
        yield simulator
