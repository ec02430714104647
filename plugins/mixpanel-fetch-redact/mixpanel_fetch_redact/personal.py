"""The transform ``drop-pii``: Mixpanel's own properties that are about a person go."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.protocols import Transform
from mixpanel_fetch_redact.columns import LAST_SEEN, names_column, refuse_id
from mixpanel_fetch_redact.paths import Path, folding, parse_paths, tree_of
from mixpanel_fetch_redact.walking import Raw, Redaction, Replace

PERSONAL = (
    # Who it is, and how to reach them ("Reserved Properties")
    *("$name", "$first_name", "$last_name", "$username"),
    *("$email", "$phone", "$avatar"),
    # Where they are ("Default Properties"; latitude, longitude and ip are what places come from)
    *("$city", "$region", "$country_code", "mp_country_code", "$timezone"),
    *("$ip", "$latitude", "$longitude"),
    # Other ids of the same person ("Reserved Properties", as of events)
    *("$user_id", "$device_id", "$anon_id", "$anon_distinct_id", "$identified_id", "$alias"),
    *("$distinct_ids", "$distinct_id_before_identity", "mp_original_distinct_id"),
    # Push tokens of their devices (SDKs)
    *("$ios_devices", "$android_devices"),
    # Addresses of pages, which often carry ids and e-mail addresses (SDKs)
    *("$initial_referrer", "$referrer", "$current_url"),
)
"""What is dropped: by Mixpanel's property reference, and by what its SDKs write into profiles."""

_EXAMPLE = "also=birthday,address.street"


class DropPiiOptions(Schema):
    """``also``: paths of more that is dropped. ``keep``: names of the list that stay.
    ``match_case``: names match in their own case only.
    """

    also = fields.String(load_default=None, validate=validate.Length(min=1))
    keep = fields.String(load_default=None, validate=validate.Length(min=1))
    match_case = fields.Boolean(load_default=False)


def make_drop_pii(
    argument: str | None,
    *,
    also: str | None = None,
    keep: str | None = None,
    match_case: bool = False,
) -> Transform:
    """Return the transform ``drop-pii``. Raises ConfigError for an argument, or bad options."""
    if argument is not None:
        raise ConfigError(f"drop-pii has its own list; add to it with -o {_EXAMPLE}")
    more = parse_paths(also, _EXAMPLE) if also is not None else []
    refuse_id("drop-pii", more)
    kept = _kept(keep)
    paths = [(name,) for name in PERSONAL if name not in kept]
    return Redaction(
        Replace(tree_of([*paths, *more], folding(match_case)), _nothing),
        keeps_last_seen=not any(names_column(path, LAST_SEEN) for path in more),
    )


def _nothing(text: bytes) -> Raw | None:
    """Take away any value."""


def _kept(keep: str | None) -> set[str]:
    if keep is None:
        return set()
    return {_listed(path) for path in parse_paths(keep, "keep=$city,$timezone")}


def _listed(path: Path) -> str:
    name = path[0]
    if len(path) == 1 and name in PERSONAL:
        return name
    raise ConfigError(
        f"drop-pii: keep={name} is none of the properties that it drops;"
        f" they are {', '.join(PERSONAL)}"
    )
