"""From a command's options to a Workspace and to the keywords of a fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixpanel_fetch.cli.fetch_options import plugin_options
from mixpanel_fetch.cli.output import Output, default_form
from mixpanel_fetch.cli.query_options import query_of
from mixpanel_fetch.cli.sync_options import sync_of
from mixpanel_fetch.config import Destination
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import Mode

if TYPE_CHECKING:
    from mixpanel_fetch.workspace import Workspace

_AS_THEY_ARE = (
    "batch_size",
    "parallel",
    "strategy",
    "transforms",
    "page_size",
    "page_bytes",
    "max_inflight_bytes",
    "allow_partial",
    "allow_empty",
    "allow_missing",
    "strict",
    "resume",
)


def begin(output: Output, given: dict[str, Any], *, rows_come: bool = True) -> Workspace:
    """Return the workspace that the options ask for, and set ``output`` to their wishes."""
    from mixpanel_fetch.workspace import Workspace

    output.log.form = given["log_format"]
    output.verbose = given["verbose"]
    workspace = Workspace(
        given["account"],
        destination=given["destination"],
        workspace_id=given["workspace_id"],
        plugins=given["plugins"],
        max_wait=given["max_wait"],
        max_concurrency=given["max_concurrency"],
        max_page_bytes=given["max_page_bytes"],
        shared_quota=given["shared_quota"],
    )
    to_stdout = Destination.parse(str(workspace.destination)).location == "-"
    output.stdout_is_taken = rows_come and to_stdout
    output.form = given["form"] or default_form(output.stream)
    if not given["quiet"]:
        for warning in workspace.warnings:
            output.log.say(warning, level="warning")
    return workspace


def keywords_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords of ``fetch_profiles`` that the options stand for."""
    sync = sync_of(given)
    own = {"query": query_of(given), "sync": sync}
    return landing_keywords(given, "create" if sync is None else "merge") | own


def landing_keywords(given: dict[str, Any], mode: Mode) -> dict[str, Any]:
    """Return those that are not about profiles; ``mode`` is the one where none is given."""
    return {name: given[name] for name in _AS_THEY_ARE} | {
        "mode": _mode(given) or mode,
        "max_workers": given["workers"],
        "options": plugin_options(given),
    }


def _mode(given: dict[str, Any]) -> Mode | None:
    modes: tuple[Mode, ...] = ("append", "replace", "merge")
    chosen = [mode for mode in modes if given[mode]]
    if len(chosen) > 1:
        both = " and ".join(f"--{mode}" for mode in chosen)
        raise ConfigError(f"{both} contradict each other; choose one")
    return chosen[0] if chosen else None
