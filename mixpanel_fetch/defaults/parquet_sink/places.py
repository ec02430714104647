"""From a location as the user writes it to the place that it names."""

from __future__ import annotations

import re
from typing import Any

from mixpanel_fetch.defaults.parquet_sink.local import LocalPlace
from mixpanel_fetch.defaults.parquet_sink.store.place import SCHEMES, StorePlace
from mixpanel_fetch.defaults.parquet_sink.store.settings import StoreSettings
from mixpanel_fetch.defaults.parquet_sink.targets import Place
from mixpanel_fetch.errors import ConfigError

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def place_of(location: str, *, partition: str | None = None, **store: Any) -> Place:
    """Return the place; options for stores are left alone where it is on this machine.

    Raises ConfigError for a location that names nothing.
    """
    uri = _URI.fullmatch(location)
    if uri is None:
        return LocalPlace(location, partitioned=partition == "load_date")
    scheme, path = uri.groups()
    if scheme not in SCHEMES:
        raise ConfigError(
            f"parquet:// takes a path, or a location in {', '.join(SCHEMES)}; not {scheme}://"
        )
    settings = StoreSettings(**store)
    return StorePlace.parse(scheme, path, settings, partitioned=partition != "none")
