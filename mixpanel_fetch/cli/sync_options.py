"""How a table is kept in step, as options of a command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.durations import duration_of, share_of
from mixpanel_fetch.errors import ConfigError

if TYPE_CHECKING:
    from mixpanel_fetch.sync import SyncWish


class _Duration(click.ParamType):  # type: ignore[type-arg]
    """A number with a unit: ``90m``, ``12h``, ``7d``."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta | str:
        if isinstance(value, timedelta):
            return value
        if str(value) == "never":
            return "never"
        try:
            return duration_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Share(click.ParamType):  # type: ignore[type-arg]
    """A share in percent: ``50%``."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            return share_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


SYNC_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--incremental",
        is_flag=True,
        help="Keep the table in step: merge what changed since the last time.",
    ),
    click.option("--full", is_flag=True, help="Keep it in step by a complete fetch, now."),
    click.option(
        "--full-every",
        type=_Duration(),
        metavar="7d|never",
        help="With --incremental: a complete fetch when the last is this old; else 7d. Only that"
        " finds edits that do not move $last_seen, and deletions.",
    ),
    click.option(
        "--overlap",
        type=_Duration(),
        metavar="1h",
        help="With --incremental: how far to look back beyond the newest profile; else 1h.",
    ),
    click.option(
        "--delete",
        type=click.Choice(["mark", "hard", "ignore"]),
        help="What a complete fetch does with profiles that are gone; else mark: deleted_at.",
    ),
    click.option(
        "--max-gone",
        type=_Share(),
        metavar="50%",
        help="Change nothing if more of the table would be gone; else 50%.",
    ),
    click.option(
        "--history", is_flag=True, help="Keep the versions of each profile in NAME_history."
    ),
)


def sync_of(given: dict[str, Any]) -> SyncWish | None:
    """Return how the table is to be kept in step, None where it is not. Raises ConfigError."""
    from mixpanel_fetch.sync import SyncWish

    wanted = {
        "overlap": given["overlap"],
        "delete": given["delete"],
        "max_gone": given["max_gone"],
        "history": given["history"] or None,
    }
    wish = {name: value for name, value in wanted.items() if value is not None}
    if given["full_every"] is not None:
        wish["full_every"] = None if given["full_every"] == "never" else given["full_every"]
    if not (given["incremental"] or given["full"]):
        if wish:
            option = f"--{next(iter(wish)).replace('_', '-')}"
            raise ConfigError(f"{option} is for tables kept in step: add --incremental or --full")
        return None
    if wish.get("overlap") == "never":
        raise ConfigError("--overlap is a duration, such as 1h")
    return SyncWish(full=given["full"], **wish)
