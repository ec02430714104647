"""How many rows a session has, when it does not say so itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from mixpanel_fetch.errors import ServerError

_MOST_PAGES = 2**40


def count_rows(rows_of: Callable[[int], int], page_size: int) -> int:
    """Return how many rows there are, by asking ``rows_of(index)`` for those of single pages.

    Page 0 is known to be full. Doubles the index until a page is not full, then halves what lies
    between: some ``2 * log2(pages)`` pages, and the one behind the last. Raises ServerError when
    there is no end in sight, or there are rows behind it, and what ``rows_of`` raises.
    """
    rows_of = cache(rows_of)
    full, beyond, rows = 0, 1, rows_of(1)
    while rows >= page_size:
        full, beyond = beyond, beyond * 2
        if beyond > _MOST_PAGES:
            raise ServerError("Mixpanel goes on sending full pages, and does not say how many")
        rows = rows_of(beyond)
    while rows == 0 and beyond - full > 1:
        middle = (full + beyond) // 2
        found = rows_of(middle)
        if found >= page_size:
            full = middle
        else:
            beyond, rows = middle, found
    # A single full page, and nothing after it, is what the session said itself.
    if (beyond, rows) != (1, 0) and rows_of(beyond + 1) > 0:
        raise ServerError(f"page {beyond} is not full, and yet others follow; try again")
    return beyond * page_size + rows
