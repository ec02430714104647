"""Any progress bar like tqdm's, for ``on_batch_complete``."""

from __future__ import annotations

from typing import Any

from mixpanel_fetch.model import ProfileBatchProgress


class ProgressCallback:
    """A callback for ``on_batch_complete`` that moves ``bar``, one step a page.

    ``bar`` is tqdm's, or has its ``total``, ``update(n)``, ``set_postfix(**values)`` and
    ``close()``. A context manager that closes the bar::

        with ProgressCallback(tqdm(unit="page")) as callback:
            workspace.fetch_profiles(parallel=True, on_batch_complete=callback)
    """

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._rows = self._failed = 0

    def __enter__(self) -> ProgressCallback:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._bar.close()

    def __call__(self, progress: ProfileBatchProgress) -> None:
        """Take one page in."""
        if self._bar.total != progress.total_pages:
            self._set_total(progress.total_pages)
        self._rows += progress.rows
        self._failed += not progress.success
        failed = {"failed": self._failed} if self._failed else {}
        self._bar.set_postfix(rows=self._rows, **failed, refresh=False)
        self._bar.update(1)

    def _set_total(self, pages: int) -> None:
        # tqdm's bar in a notebook learns of a total only by being reset.
        reset = getattr(self._bar, "reset", None)
        if reset is None:
            self._bar.total = pages
        else:
            reset(total=pages)
