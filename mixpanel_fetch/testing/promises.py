"""How a kit says which promise was broken."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mixpanel_fetch.errors import MixpanelFetchError

T = TypeVar("T")


@contextmanager
def promised(words: str) -> Iterator[None]:
    """Say ``words`` of any exception inside, an assertion included."""
    __tracebackhide__ = True
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{words}: {error}") from error
    except Exception as error:
        raise AssertionError(f"{words}; it raised {_named(error)}") from error


@contextmanager
def refused(kind: type[MixpanelFetchError], words: str) -> Iterator[None]:
    """Expect an error of ``kind`` inside, with the exit code of that kind and in one line."""
    __tracebackhide__ = True
    try:
        yield
    except kind as error:
        _assert_shown_well(error, kind, words)
    except Exception as error:
        raise AssertionError(f"{words}; it raised {_named(error)}") from error
    else:
        raise AssertionError(f"{words}; nothing was raised")


def _assert_shown_well(
    error: MixpanelFetchError, kind: type[MixpanelFetchError], words: str
) -> None:
    __tracebackhide__ = True
    code = error.exit_code
    assert code == kind.exit_code, f"{words}, with exit code {kind.exit_code}, not {code}"
    assert_one_line(error)


def assert_one_line(error: BaseException) -> None:
    """Assert that the words of ``error`` can be shown to a user as they are."""
    __tracebackhide__ = True
    text = str(error)
    assert text.strip(), f"an error must say what is wrong; {type(error).__name__} says nothing"
    assert "\n" not in text, f"an error must be one line, not {text!r}"


def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Return what ``function`` returns in a thread of its own, or raise what it raises there."""
    with threads() as call:
        result: T = call(function, *args)
        return result


@contextmanager
def threads() -> Iterator[Callable[..., Any]]:
    """Yield what calls a function in a new thread each time.

    The threads live until the end: the number of one that is gone may be given to the next, and
    who tells threads apart by their numbers would take them for one.
    """
    with ExitStack() as stack:

        def call(function: Callable[..., Any], *args: Any) -> Any:
            pool = stack.enter_context(ThreadPoolExecutor(1, "conformance-kit"))
            return pool.submit(function, *args).result()

        yield call


def open_descriptors() -> int | None:
    """Return how many files and sockets this process has open; None where nobody tells."""
    gc.collect()
    for folder in (Path("/proc/self/fd"), Path("/dev/fd")):
        if folder.is_dir():
            return sum(1 for _ in folder.iterdir())
    return None


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
