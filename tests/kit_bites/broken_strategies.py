"""Strategies that break one promise each."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gevent
from gevent.pool import Pool

from mixpanel_fetch.errors import ServerError
from mixpanel_fetch.model import PageFailure

from .biting import Bite, words_of
from .correct import Sequential, strategy_case

BITES: list[Bite] = []


def bites(kills, says):
    """Register the decorated strategy."""

    def register(kind):
        words = words_of(kind)
        BITES.append(Bite(words, lambda: strategy_case(kind), kills, says))
        return kind

    return register


@bites("test_each_page_comes_back_once", r"\[39\] did not")
class TheLastPageIsLeftOut(Sequential):
    def run(self, source, pages):
        return super().run(source, pages[:-1])


@bites("test_each_page_comes_back_once", "came more often")
class APageComesTwice(Sequential):
    def run(self, source, pages):
        return super().run(source, [*pages, *pages[:1]])


@bites("test_only_the_pages_asked_for_come_back", "pages 3, 7 and 30 were asked for")
class GapsAreFilled(Sequential):
    def run(self, source, pages):
        return super().run(source, range(min(pages), max(pages) + 1))


@bites("test_no_pages_are_no_work", "must take an empty list of pages")
class TheFirstPageIsTakenForGranted(Sequential):
    def run(self, source, pages):
        first, *rest = pages
        yield source.attempt(first)
        yield from super().run(source, rest)


@bites("test_failures_are_outcomes", "a page that fails must not end the run")
class FailuresAreRaised(Sequential):
    def run(self, source, pages):
        for index in pages:
            yield source.fetch(index)


@bites("test_failures_are_outcomes", r"failures came back of \[\]")
class FailuresAreLeftOut(Sequential):
    def run(self, source, pages):
        return (one for one in super().run(source, pages) if not isinstance(one, PageFailure))


@bites("test_failures_are_outcomes", "must carry its error")
class FailuresLoseTheirError(Sequential):
    def run(self, source, pages):
        for one in super().run(source, pages):
            failed = isinstance(one, PageFailure)
            yield PageFailure(one.index, "fetch", ServerError("failed")) if failed else one


@bites("test_an_unknown_error_does_not_vanish", "must not vanish")
class ErrorsAreSwallowed(Sequential):
    def run(self, source, pages):
        for index in pages:
            try:
                yield source.attempt(index)
            except RuntimeError:
                continue


@bites("test_pages_in_memory_are_few", "pages were in memory at once")
class PagesAreAllFetchedFirst(Sequential):
    def run(self, source, pages):
        yield from [source.attempt(index) for index in pages]


@bites("test_pages_in_memory_are_few", "pages were in memory at once")
class PagesAreKept(Sequential):
    def run(self, source, pages):
        kept = []
        for index in pages:
            kept.append(source.attempt(index))
            yield kept[-1]


@bites("test_pages_asked_for_ahead_are_few", "pages were asked for ahead of their use")
class PagesAreAllAskedForFirst(Sequential):
    def run(self, source, pages):
        yield from [source.attempt(index) for index in pages]


@bites("test_closing_early_leaves_nothing", "must leave nothing; there are .*greenlet")
class GreenletsAreLeft(Sequential):
    def run(self, source, pages):
        running = [gevent.spawn(self.waiting) for _ in pages]
        try:
            yield from super().run(source, pages)
            gevent.killall(running)
        finally:
            self.kept = running

    def waiting(self):
        gevent.sleep(60)


@bites("test_closing_early_leaves_nothing", "must leave nothing; there are .*greenlet")
class WorkBeginsBeforeTheIterator(Sequential):
    def run(self, source, pages):
        running = [gevent.spawn(gevent.sleep, 60) for _ in pages]
        KEPT.append(running)
        return self.taking(source, pages, running)

    def taking(self, source, pages, running):
        try:
            yield from super().run(source, pages)
        finally:
            gevent.killall(running)


KEPT: list = []


@bites("test_the_end_leaves_nothing", "must leave nothing; there are .*thread")
class AThreadIsLeft(Sequential):
    def run(self, source, pages):
        yield from super().run(source, pages)
        thread = threading.Thread(target=time.sleep, args=(6,), daemon=True)
        thread.start()
        KEPT.append(thread)


@bites("test_it_may_run_again", "must be able to run again")
class ItRunsOnce(Sequential):
    used = False

    def run(self, source, pages):
        if self.used:
            raise RuntimeError("used up")
        self.used = True
        return super().run(source, pages)


@bites("test_it_works_in_any_thread", "must work in a thread that is not the main one")
class ItNeedsTheMainThread(Sequential):
    def run(self, source, pages):
        if threading.current_thread() is not threading.main_thread():
            raise ValueError("signal only works in main thread")
        return super().run(source, pages)


@bites("test_no_more_is_in_flight_than_allowed", "requests were in flight; max_workers was")
class FiveAreAlwaysInFlight(Sequential):
    def run(self, source, pages):
        yield from Pool(5).imap_unordered(source.attempt, pages)


@bites("test_a_fetch_brings_what_sequential_brings", "must work; it raised PluginError")
class OnePageOfManyIsLeftOut(Sequential):
    def run(self, source, pages):
        return super().run(source, [one for one in pages if one != 7])


@bites("test_a_fetch_brings_what_sequential_brings", "must be asked for once")
class EachPageIsAskedForTwice(Sequential):
    def run(self, source, pages):
        for index in pages:
            source.attempt(index)
            yield source.attempt(index)


@bites("test_a_fetch_can_be_stopped_while_it_waits", "must stop within a second|must say")
class WaitingBlocksTheHub(Sequential):
    def run(self, source, pages):
        with ThreadPoolExecutor(1) as pool:
            for index in pages:
                yield pool.submit(source.attempt, index).result()
