"""How a store is to be reached."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

_TIMEOUT = 60.0
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}


@dataclass(frozen=True)
class StoreSettings:
    """The options of ParquetOptions that are about stores. ``timeout``: seconds a request."""

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    timeout: float = _TIMEOUT

    def endpoint_of(self, scheme: str) -> str | None:
        """Return where the store of a scheme is, None for that of its company."""
        given = self.endpoint if scheme == "s3" else None
        variables = (os.environ.get(name) for name in _ENDPOINTS[scheme])
        return given or next(filter(None, variables), None)
