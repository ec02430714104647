"""A SimulatorConfig as JSON, for the way into another process."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from mixpanel_fetch.simulator.config import SimulatorConfig
from mixpanel_fetch.simulator.faults import Fault
from mixpanel_fetch.simulator.population import Profile, encode_profile
from mixpanel_fetch.simulator.synthetic import SyntheticProfiles


def config_to_json(config: SimulatorConfig, folder: Path) -> str:
    """Write a config as one line of JSON.

    Profiles given as a sequence go to files in `folder`, one JSON object a line.
    """
    names = (folder / f"profiles-{number}.ndjson" for number in itertools.count())
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    values["profiles"] = _packed(config.profiles, next(names))
    values["groups"] = {
        group: _packed(profiles, next(names)) for group, profiles in config.groups.items()
    }
    values["cohorts"] = {cohort: list(members) for cohort, members in config.cohorts.items()}
    values["cohort_names"] = dict(config.cohort_names)
    values["page_latency"] = dict(config.page_latency)
    values["faults"] = [vars(fault) for fault in config.faults]
    return json.dumps(values)


def config_from_json(text: str | bytes) -> SimulatorConfig:
    """Read what `config_to_json` wrote, or any JSON object with some fields of the config.

    Raises ValueError or TypeError for anything else.
    """
    values = json.loads(text or "{}")
    if not isinstance(values, dict):
        raise TypeError("the configuration must be a JSON object")
    unknown = values.keys() - {field.name for field in fields(SimulatorConfig)}
    if unknown:
        raise ValueError(f"unknown fields of the configuration: {', '.join(sorted(unknown))}")
    if "profiles" in values:
        values["profiles"] = _unpacked(values["profiles"])
    values["groups"] = {
        group: _unpacked(profiles) for group, profiles in values.get("groups", {}).items()
    }
    values["cohorts"] = _by_number(values.get("cohorts", {}))
    values["cohort_names"] = _by_number(values.get("cohort_names", {}))
    values["page_latency"] = _by_number(values.get("page_latency", {}))
    try:
        values["faults"] = msgspec.convert(values.get("faults", []), tuple[Fault, ...])
    except msgspec.ValidationError as error:
        raise ValueError(f"faults: {error}") from error
    return SimulatorConfig(**values)


def _packed(profiles: int | Sequence[Profile], path: Path) -> object:
    if isinstance(profiles, int):
        return profiles
    if isinstance(profiles, SyntheticProfiles):
        return {"count": len(profiles), "kind": profiles.kind, "seed": profiles.seed}
    with path.open("wb") as file:
        # A line break outside a string is only white space, and inside one it is not legal.
        file.writelines(
            encode_profile(profile).replace(b"\n", b" ") + b"\n" for profile in profiles
        )
    return {"file": str(path)}


def _unpacked(packed: Any) -> int | Sequence[Profile]:
    if isinstance(packed, Mapping) and "file" in packed:
        return Path(packed["file"]).read_bytes().split(b"\n")[:-1]
    if isinstance(packed, Mapping):
        return SyntheticProfiles(**packed)
    if isinstance(packed, (int, list)):
        return packed
    raise TypeError("profiles must be a count, a list of profiles, or the name of a file")


def _by_number(mapping: Mapping[str, Any]) -> dict[int, Any]:
    return {int(key): value for key, value in mapping.items()}
