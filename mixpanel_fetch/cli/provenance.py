"""Each setting with its value and where it comes from; what may be a secret as ``***``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mixpanel_fetch.cli.plugins.options import described
from mixpanel_fetch.config import SETTINGS, Settings
from mixpanel_fetch.plugin_options import ENVIRONMENT, given_to
from mixpanel_fetch.precedence import Given
from mixpanel_fetch.secret import MASK, names_a_secret, redact_uri


def setting_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return a row for each setting there is: setting, value (None: not set), from."""
    return [
        {
            "setting": name,
            "value": _shown(name, settings.account.get(name)),
            "from": str(settings.origins[name]) if name in settings.origins else None,
        }
        for name in SETTINGS
    ]


def option_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return a row for each option that file or environment give a plugin.

    What no installed plugin declares may be a secret, and shows no value.
    """
    if not any(settings.plugins.values()):
        return []
    rows = []
    told: set[str] = set()
    for plugin, options in sorted(_declared().items()):
        for option, given in given_to(plugin, set(options), settings.plugins).items():
            told |= {given.origin.name, f"{plugin}.{option}"}
            secret = options.get(option, {"secret": True})["secret"]
            rows.append(_row(plugin, option, given, secret=secret))
    return rows + list(_undeclared(settings, told))


def _declared() -> dict[str, dict[str, Any]]:
    """Return what each installed plugin says of each of its options."""
    from mixpanel_fetch.plugins import default_host

    declared: dict[str, dict[str, Any]] = {}
    for one in default_host().all():
        options = {option["name"]: option for option in described(one.spec.options)}
        declared.setdefault(one.spec.name, {}).update(options)
    return declared


def _undeclared(settings: Settings, told: set[str]) -> Iterator[dict[str, Any]]:
    for plugin, table in settings.plugins.items():
        for name in table:
            if plugin == ENVIRONMENT and name not in told:
                yield {"plugin": None, "option": None, "value": MASK, "from": name}
            elif plugin != ENVIRONMENT and f"{plugin}.{name}" not in told:
                origin = f"file [plugins.{plugin}], which no plugin takes"
                yield {"plugin": plugin, "option": name, "value": MASK, "from": origin}


def _row(plugin: str, option: str, given: Given, *, secret: bool) -> dict[str, Any]:
    value = MASK if secret else _shown(option, given.value)
    return {"plugin": plugin, "option": option, "value": value, "from": str(given.origin)}


def _shown(name: str, value: Any) -> Any:
    if value is None:
        return None
    if names_a_secret(name):
        return MASK
    return value if isinstance(value, (bool, int, float)) else redact_uri(str(value))
