"""What a job has to itself while it runs: its project's quota, and its place in the destination."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mixpanel_fetch.assembly import Assembler
from mixpanel_fetch.config import Destination, Settings, load_settings
from mixpanel_fetch.errors import ConfigError, MixpanelFetchError
from mixpanel_fetch.jobs import Job
from mixpanel_fetch.plugins import PluginHost
from mixpanel_fetch.protocols import StorageEngine

Need = tuple[str, ...]

_SETTINGS = (
    *("account", "username", "secret", "project_id", "region", "workspace_id", "api_secret"),
    *("api_base_url", "destination"),
)


def needs_of(job: Job) -> frozenset[Need]:
    """Return the project of ``job`` and its place, as far as they are known here.

    Only the process in which it runs may know its account; the account's name then stands for
    both. In a destination that takes runs side by side, the table is the place.
    """
    given = {key: job.connection[key] for key in _SETTINGS if key in job.connection}
    engine = given.pop("destination") if _holds_engine(given) else None
    try:
        settings = load_settings(**given)
    except ConfigError:  # told when the job runs
        settings = Settings(destination=str(given.get("destination", "")))
    account = ("account", str(job.connection.get("account") or ""))
    return frozenset({_project(settings, account), _place(job, settings, engine, account)})


def _holds_engine(given: Mapping[str, Any]) -> bool:
    return not isinstance(given.get("destination", ""), (str, type(None)))


def _project(settings: Settings, account: Need) -> Need:
    project = settings.account.get("project_id")
    if project is None:
        return account
    server = settings.api_base_url or settings.account.get("region")
    return ("project", str(server), str(project))


def _place(job: Job, settings: Settings, engine: StorageEngine | None, account: Need) -> Need:
    place: Need
    if engine is not None:
        place = ("engine", str(id(engine)))
    else:
        try:
            target = Destination.parse(settings.destination)
        except ConfigError:
            return account
        # Where the location is a path, two spellings of one file are one place.
        place = ("destination", target.sink, str(Path(target.location).absolute()))
    return (*place, job.table) if _takes_several(job, settings, engine) else place


def _takes_several(job: Job, settings: Settings, engine: StorageEngine | None) -> bool:
    try:
        files = job.connection.get("plugins")
        host = PluginHost(files) if files else None
        sink = Assembler(host, settings).sink(settings.destination if engine is None else engine)
    except MixpanelFetchError:  # told when the job runs
        return False
    return "concurrent" in sink.capabilities
