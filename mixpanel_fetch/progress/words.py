"""What a display says of a run, in words."""

from __future__ import annotations

import math

from mixpanel_fetch.progress.standing import Standing


def duration(seconds: float) -> str:
    """Return a time that was measured: ``8.5 s``, ``42 s``, ``1 min 39 s``, ``2 h 05 min``."""
    return f"{seconds:.1f} s" if seconds < 9.95 else whole(round(seconds))


def whole(seconds: int) -> str:
    """Return a time that is counted down or guessed: ``8 s``, ``1 min 39 s``, ``2 h 05 min``."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"


def facts(standing: Standing, now: float) -> list[str]:
    """Return what is known beside the pages: rows, speed, and what comes next."""
    found = [f"{standing.rows:,} rows"]
    speed = standing.rows_per_second(now)
    if speed >= 0.5 and standing.phase != "publishing":
        found.append(f"{speed:,.0f} rows/s")
    if standing.result is not None:
        found.append(duration(standing.result.duration_seconds))
    elif standing.phase == "publishing":
        found.append("publishing")
    else:
        left = standing.seconds_left(now)
        if left is not None:
            found.append(f"about {whole(max(1, round(left)))} left")
    return found


def troubles(standing: Standing) -> list[str]:
    """Return what went wrong so far."""
    failed, retries = standing.failed, standing.retries
    found = [f"{failed:,} failed"] if failed else []
    if retries:
        found.append("1 retry" if retries == 1 else f"{retries:,} retries")
    return found


def waiting(standing: Standing, now: float) -> str | None:
    """Return what is waited for and how long yet, None where nothing is."""
    wait = standing.wait(now)
    if wait is None:
        return None
    seconds = whole(max(1, math.ceil(wait.until - now)))
    return f"waiting {seconds} for page {wait.page}: {wait.reason}"
