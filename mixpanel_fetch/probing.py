"""How many rows a session has, when it does not say so itself."""

from __future__ import annotations

from collections.abc import Callable

from mixpanel_fetch.errors import ServerError

_MOST_PAGES = 2**40


def count_rows(rows_of: Callable[[int], int], page_size: int) -> int:
    """Return how many rows there are, by asking ``rows_of(index)`` for those of single pages.

    Page 0 is known to be full. Doubles the index until a page is not full, then halves what lies
    between: some ``2 * log2(pages)`` pages. Raises ServerError when there is no end in sight, and
    what ``rows_of`` raises.
    """
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
    return beyond * page_size + rows
