"""What to ask Mixpanel for, as options of a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mixpanel_fetch.errors import ConfigError

if TYPE_CHECKING:
    from mixpanel_fetch.query import ProfileQuery

workspace_option = click.option(
    "--workspace-id", metavar="ID", help="The data view; else MP_WORKSPACE_ID."
)

QUERY_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option("--where", metavar="EXPRESSION", help="Only profiles that match."),
    click.option("--cohort", metavar="ID", help="Only members of a saved cohort."),
    click.option(
        "--include-all-users",
        is_flag=True,
        help="With --cohort: members that have no profile, too. By default they do not come.",
    ),
    click.option(
        "--distinct-id",
        "distinct_ids",
        metavar="ID|@FILE",
        multiple=True,
        help="Only this profile; repeatable. @FILE has an id a line, @- is standard input.",
    ),
    click.option(
        "--group-id",
        metavar="NUMBER",
        help="Profiles of groups, not users: the number of the group key, in Project Settings.",
    ),
    click.option(
        "--output-properties",
        metavar="A,B",
        multiple=True,
        help="Only these properties; repeat it for names that hold a comma.",
    ),
    click.option(
        "--behaviors",
        metavar="JSON|@FILE",
        help='What profiles did, to be used in --where: behaviors["NAME"] > 0.',
    ),
    click.option(
        "--as-of-timestamp",
        type=int,
        metavar="SECONDS",
        help="With --behaviors: when their window ends, in Unix seconds; else now.",
    ),
    click.option(
        "--utc-offset",
        type=float,
        metavar="HOURS",
        help="With --behaviors: the project's time zone, so that now is its now.",
    ),
    workspace_option,
)


def query_of(given: dict[str, Any]) -> ProfileQuery:
    """Return the query that the options stand for. Raises ConfigError."""
    from mixpanel_fetch.query import ProfileQuery

    ids = [each for text in given["distinct_ids"] for each in _ids(text)]
    behaviors = given["behaviors"]
    return ProfileQuery(
        where=given["where"],
        cohort_id=given["cohort"],
        output_properties=_names(given["output_properties"]),
        distinct_ids=tuple(ids) if given["distinct_ids"] else None,
        data_group_id=given["group_id"],
        include_all_users=given["include_all_users"],
        behaviors=None if behaviors is None else _text_of(behaviors),
        as_of_timestamp=given["as_of_timestamp"],
        utc_offset=given["utc_offset"],
    )


def _ids(text: str) -> Iterator[str]:
    if not text.startswith("@"):
        yield text
        return
    for line in _text_of(text).splitlines():
        if line.strip():
            yield line.strip()


def _text_of(text: str) -> str:
    """Return ``text``, or what is in the file that ``@FILE`` names."""
    if not text.startswith("@"):
        return text
    try:
        if text == "@-":
            return sys.stdin.read()
        return Path(text[1:]).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {text[1:]}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{text[1:]} is not text in UTF-8") from None


def _names(given: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the names of one comma-separated text, or of several texts as they stand."""
    if not given:
        return None
    return tuple(name.strip() for name in given[0].split(",")) if len(given) == 1 else given
