"""Everything that a request needs but the query."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.model import REGIONS, Credentials
from mixpanel_fetch.quota import RetryPolicy
from mixpanel_fetch.secret import Secret
from mixpanel_fetch.sizes import MIB
from mixpanel_fetch.transport import Transport


@dataclass(frozen=True)
class ClientSettings:
    """Everything that a request needs but the query; picklable, the secrets included.

    ``base_url`` replaces scheme and host (for simulators and proxies); timeouts are in seconds;
    ``max_concurrency`` is how many requests may be in flight (Mixpanel serves five at once);
    ``max_page_bytes`` is what the body of one page may come to, decoded; ``shared_quota`` says
    whether requests in flight, and in the hour, are counted together with the user's other
    processes; ``verify`` is a CA bundle's path; ``trust_environment`` says whether proxies and CA
    bundles of the usual environment variables count.
    """

    credentials: Credentials
    base_url: str | None = field(default=None, repr=False)
    connect_timeout: float = 10.0
    read_timeout: float = 120.0
    max_concurrency: int = 5
    max_page_bytes: int = 256 * MIB
    shared_quota: bool = True
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    verify: str | None = None
    trust_environment: bool = True

    def __post_init__(self) -> None:
        if not _is_web_address(self.origin):
            raise ConfigError("the API base URL must start with http:// or https:// and a host")
        if self.max_concurrency < 1:
            raise ConfigError("max_concurrency must be at least 1")
        if self.max_page_bytes < 1:
            raise ConfigError("max_page_bytes must be at least 1")

    def transport(self) -> Transport:
        """Return a new transport for the calling thread, to be closed by its context."""
        return Transport(
            connect_timeout=self.connect_timeout,
            read_timeout=self.read_timeout,
            verify=self.verify,
            trust_environment=self.trust_environment,
            max_body_bytes=self.max_page_bytes,
        )

    @property
    def origin(self) -> str:
        """Scheme and host of every request, without a trailing slash."""
        url = self.base_url or f"https://{REGIONS[self.credentials.region]}"
        return url.rstrip("/")

    @property
    def host(self) -> str:
        """The host (and port) that is asked, without user information."""
        return urlsplit(self.origin).netloc.rpartition("@")[2]

    @property
    def project(self) -> str:
        """What the quota belongs to: the project's id, or its secret, which may stand alone."""
        return self.credentials.project_id or self.auth[0]

    @property
    def auth(self) -> tuple[str, str]:
        """User name and password of HTTP Basic. A project secret is the user name, alone."""
        who = self.credentials
        if who.username and who.secret:
            return who.username, who.secret.reveal()
        return (who.api_secret or Secret("")).reveal(), ""

    @property
    def params(self) -> dict[str, str]:
        """The URL query: project and data view."""
        who = self.credentials
        pairs = {"project_id": who.project_id, "workspace_id": who.workspace_id}
        return {name: value for name, value in pairs.items() if value is not None}


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unclosed bracket, a port that is none
        return False
