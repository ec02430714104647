"""How large pages are to be, and how many bytes of them may be under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.sizes import MIB

AUTO: Literal["auto"] = "auto"
_MOST = 2**53
PageSize = int | Literal["auto"]


@dataclass(frozen=True)
class Paging:
    """What a user wants of pages. Raises ConfigError for what cannot be.

    ``size``: profiles a page to ask for; None leaves it to the server, and ``"auto"`` looks at
    page 0 and may open a second session with larger pages. ``page_bytes``: what ``"auto"`` aims
    at, in bytes of a page's body. ``max_inflight_bytes``: what all pages that are asked for and
    have not landed may come to; one page may always be asked for.
    """

    size: PageSize | None = None
    page_bytes: int = 8 * MIB
    max_inflight_bytes: int = 64 * MIB

    def __post_init__(self) -> None:
        for name, value in (
            ("page_size", None if self.size == AUTO else self.size),
            ("page_bytes", self.page_bytes),
            ("max_inflight_bytes", self.max_inflight_bytes),
        ):
            if value is None:
                continue
            if not isinstance(value, int):
                choice = " or 'auto'" if name == "page_size" else ""
                raise ConfigError(f"{name} must be a whole number{choice}, not {value!r}")
            if value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}")
            if value > _MOST:
                raise ConfigError(f"{name} must be at most {_MOST}")

    @property
    def asked(self) -> int | None:
        """The size to ask for with the first request."""
        return self.size if isinstance(self.size, int) else None

    def better_size(
        self, *, total: int, page_size: int, rows: int, size: int, workers: int
    ) -> int | None:
        """Return the page size to start over with, or None where that gains nothing.

        Page 0 brought ``rows`` of ``total`` profiles in ``size`` bytes. Starting over costs one
        more request that counts, so it must spare more round trips than it adds.
        """
        if self.size != AUTO or rows < 1:
            return None
        target = min(self.page_bytes, self.max_inflight_bytes)
        wanted = max(1, min(total, target * rows // size))
        if wanted < page_size:
            # Smaller pages only where one would not fit at all.
            return wanted if size > self.max_inflight_bytes else None
        spared = _rounds(total, page_size, workers) - _rounds(total, wanted, workers) - 1
        return wanted if spared > 0 else None


def _rounds(total: int, page_size: int, workers: int) -> int:
    """Return the round trips of a fetch: page 0 alone, then ``workers`` pages at once."""
    later = -(-total // page_size) - 1
    return 1 + -(-later // workers)
