"""Jobs: fetches that are described in a file, so that they can be run again and again."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from marshmallow import ValidationError

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.job_schema import JobSchema, JobsSchema
from mixpanel_fetch.model import Mode
from mixpanel_fetch.query import ProfileQuery
from mixpanel_fetch.schemas import one_line
from mixpanel_fetch.secret import names_a_secret, redact_uri
from mixpanel_fetch.sync import SyncWish

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_CONNECTION = (
    *("account", "project_id", "region", "workspace_id", "destination"),
    *("max_wait", "max_concurrency", "shared_quota"),
)
_FETCH = (
    *("parallel", "strategy", "transforms", "options", "page_size", "batch_size"),
    *("allow_partial", "allow_empty", "allow_missing", "strict"),
)
_QUERY = {
    "subject": "subject",
    "cohorts": "cohort_ids",
    "where": "where",
    "cohort": "cohort_id",
    "include_all_users": "include_all_users",
    "distinct_ids": "distinct_ids",
    "group_id": "data_group_id",
    "output_properties": "output_properties",
    "behaviors": "behaviors",
    "as_of_timestamp": "as_of_timestamp",
    "utc_offset": "utc_offset",
}
"""The keys of a job's query, as a ProfileQuery calls them."""
_SYNC = ("full_every", "overlap", "delete", "max_gone", "history")
_COLUMNS = ("schema", "on_drift", "null_texts")
_MAY_HOLD_SECRETS = ("destination", "options")
_PLACE = re.compile(r"at line \d+, column \d+|at end of document")


@dataclass(frozen=True)
class JobColumns:
    """How a job's table is shown as typed columns: see :mod:`mixpanel_fetch.typed_columns`.

    ``schema``: the schema file, by default TABLE.columns.json beside the jobs file.
    """

    schema: Path
    on_drift: Literal["warn", "fail", "evolve"] = "warn"
    null_texts: bool = False


@dataclass(frozen=True)
class Job:
    """One fetch into one table. Raises ConfigError for what cannot be.

    ``connection`` are keywords of a :class:`~mixpanel_fetch.workspace.Workspace`, ``fetch`` those
    of its ``fetch_profiles`` beyond the fields here. ``group``: the group key whose number the
    configuration file knows, in place of ``query.data_group_id``. ``every``: how long a complete
    run is good for; None: it is due each time.
    """

    name: str
    table: str
    query: ProfileQuery = field(default_factory=ProfileQuery)
    mode: Mode = "replace"
    sync: SyncWish | None = None
    every: timedelta | None = None
    group: str | None = None
    columns: JobColumns | None = None
    connection: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fetch: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.group is not None and self.query.data_group_id is not None:
            raise ConfigError("group and group_id name the same thing; leave one out")
        if self.sync is not None and self.mode != "merge":
            raise ConfigError("a table is kept in step by merging; leave the other mode out")
        if self.every is not None and self.every <= timedelta(0):
            raise ConfigError("every must be longer than nothing")


def read_jobs(path: str | Path) -> list[Job]:
    """Return the jobs of the file at ``path``, in its order.

    Raises ConfigError, in one line that names file, job and key and quotes no value of theirs that
    may be a secret.
    """
    path = Path(path)
    document = _document(path)
    try:
        tables = JobsSchema().load(document)
    except ValidationError as error:
        raise ConfigError(f"{path}: {one_line(error)}") from None
    defaults = tables.get("defaults", {})
    _refuse_secrets(defaults, f"{path}: [defaults]")
    return [_job(name, {**defaults, **given}, path) for name, given in tables["jobs"].items()]


def chosen_jobs(jobs: Sequence[Job], names: Sequence[str]) -> list[Job]:
    """Return the jobs called ``names``, all where there are none. Raises ConfigError."""
    known = {job.name for job in jobs}
    for name in names:
        if name not in known:
            there = ", ".join(sorted(known))
            raise ConfigError(f"no job is called {name!r}{_hint(name, known)}; there are {there}")
    return [job for job in jobs if not names or job.name in names]


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise ConfigError(f"there is no jobs file {path}") from None
    except OSError as error:
        raise ConfigError(f"cannot read the jobs file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        # The rest of the parser's message could quote a line that holds a secret.
        found = _PLACE.search(str(error))
        place = f" ({found[0]})" if found else ""
        raise ConfigError(f"the jobs file {path} is not valid TOML{place}") from None


def _job(name: str, given: dict[str, Any], path: Path) -> Job:
    where = f"{path}: job {name}"
    _refuse_secrets(given, where)
    try:
        values = JobSchema().load(given)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_words(error)}") from None
    try:
        return _built(name, values, path.parent)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _built(name: str, values: dict[str, Any], folder: Path) -> Job:
    table = values.get("table", name)
    sync = _sync(values)
    columns = None
    if values.get("columns"):
        chosen = {key: values[key] for key in _COLUMNS[1:] if key in values}
        columns = JobColumns(folder / values.get("schema", f"{table}.columns.json"), **chosen)
    elif any(key in values for key in _COLUMNS):
        raise ConfigError("schema, on_drift and null_texts are for columns = true")
    fetch = {key: values[key] for key in _FETCH if key in values}
    if "workers" in values:
        fetch["max_workers"] = values["workers"]
    connection = {key: values[key] for key in _CONNECTION if key in values}
    if "plugins" in values:
        connection["plugins"] = tuple(folder / plugin for plugin in values["plugins"])
    return Job(
        name=name,
        table=table,
        query=ProfileQuery(**{own: values[key] for key, own in _QUERY.items() if key in values}),
        mode=values.get("mode", "replace" if sync is None else "merge"),
        sync=sync,
        every=values.get("every"),
        group=values.get("group"),
        columns=columns,
        connection=connection,
        fetch=fetch,
    )


def _sync(values: dict[str, Any]) -> SyncWish | None:
    wish = {key: values[key] for key in _SYNC if key in values}
    if values.get("incremental") or values.get("full"):
        return SyncWish(full=values.get("full", False), **wish)
    if wish:
        raise ConfigError(
            f"{next(iter(wish))} is for tables kept in step: add incremental = true or full = true"
        )
    return None


def _refuse_secrets(given: Mapping[str, Any], where: str) -> None:
    """Raise ConfigError for what only the configuration file should hold; quotes nothing of it."""
    for key, text in _texts_of(given):
        if names_a_secret(key):
            raise ConfigError(
                f"{where}: {key}: secrets do not belong in a jobs file; `mp auth add NAME` keeps an"
                ' account\'s, for account = "NAME"; [plugins.NAME] of the configuration file those'
                " of plugins"
            )
        if key.split(".")[0] in _MAY_HOLD_SECRETS and redact_uri(text) != text:
            raise ConfigError(
                f"{where}: {key}: it holds a secret, which does not belong in a jobs file; leave it"
                " to MP_DESTINATION, or to the account or [plugins.NAME] of the configuration file"
            )


def _texts_of(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in given.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{name}", str(one)) for name, one in value.items())
        elif isinstance(value, list):
            yield from ((key, str(one)) for one in value)
        else:
            yield key, str(value)


def _words(error: ValidationError) -> str:
    """Return what is wrong, and for an unknown key the known one that is like it."""
    messages = error.messages_dict
    unknown = [key for key, words in messages.items() if words == ["Unknown field."]]
    if unknown:
        return f"{unknown[0]}: unknown key{_hint(unknown[0], JobSchema().load_fields)}"
    return one_line(error)


def _hint(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]}?" if close else ""
