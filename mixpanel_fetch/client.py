"""The Engage query API, one page a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mixpanel_fetch.answers import error_of
from mixpanel_fetch.decode import DecodedPage, decode_document, decode_page
from mixpanel_fetch.errors import ConfigError, MixpanelFetchError, RateLimitError
from mixpanel_fetch.hour import HourlyBudget
from mixpanel_fetch.model import REGIONS, Credentials, ProfileQuery
from mixpanel_fetch.protocols import Gate
from mixpanel_fetch.quota import ConcurrencyGate, RetryPolicy, given_up
from mixpanel_fetch.secret import Secret
from mixpanel_fetch.sharing import share
from mixpanel_fetch.sizes import MIB
from mixpanel_fetch.transport import Answer, Transport, pause

log = logging.getLogger("mixpanel_fetch")
T = TypeVar("T")
ENGAGE_PATH = "/api/query/engage"


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


class EngageConnection:
    """Asks for pages over one transport; retries and waits as the policy says.

    A request needs a slot of ``gate`` and, where the quota is shared, one of the user's processes'
    together. Use from the thread that opened it, from its greenlets, or from other threads.
    """

    def __init__(self, settings: ClientSettings, gate: Gate, transport: Transport):
        self._settings = settings
        self._transport = transport
        self._gate = gate
        self._hour: HourlyBudget | None = None
        if settings.shared_quota:
            self._gate, self._hour = share(
                gate,
                origin=settings.origin,
                project=settings.project,
                slots=settings.max_concurrency,
                sleep=pause,
            )

    def fetch_page(
        self,
        query: ProfileQuery,
        index: int,
        *,
        session_id: str | None = None,
        page_size: int | None = None,
        check: Callable[[DecodedPage], None] | None = None,
    ) -> tuple[DecodedPage, int, int]:
        """Return the decoded page, its bytes, and the number of requests it took.

        ``check`` may raise a MixpanelFetchError to have the page asked for again. Raises the last
        error, with ``attempts`` set on it, when the policy gives up.
        """

        def read(body: bytes) -> tuple[DecodedPage, int]:
            page = decode_page(body, index)
            if check is not None:
                check(page)
            return page, len(body)

        form = self._form(query, index, session_id, page_size)
        (page, size), attempts = self._ask(f"page {index}", form, read)
        return page, size, attempts

    def fetch_document(
        self, query: ProfileQuery, index: int, session_id: str | None, page_size: int | None
    ) -> dict[str, Any]:
        """Return the contract's dict for a page. Raises as :meth:`fetch_page`."""
        form = self._form(query, index, session_id, page_size)
        return self._ask(f"page {index}", form, decode_document)[0]

    @staticmethod
    def _form(
        query: ProfileQuery, index: int, session_id: str | None, page_size: int | None
    ) -> dict[str, str]:
        form = query.form() | {"page": str(index)}
        if session_id is not None:
            form["session_id"] = session_id
        if page_size is not None:
            form["page_size"] = str(page_size)
        return form

    def _ask(self, what: str, form: dict[str, str], read: Callable[[bytes], T]) -> tuple[T, int]:
        attempts = faults = quotas = 0
        waited = 0.0
        while True:
            try:
                return read(self._post(form)), attempts + 1
            except MixpanelFetchError as error:
                attempts += error.attempts  # none where the hour was known to be used up
                by_quota = isinstance(error, RateLimitError)
                faults, quotas = faults + (not by_quota), quotas + by_quota
                failed = quotas if by_quota else faults
                wait = self._settings.retry.wait_before_retry(error, failed, waited)
                if wait is None:
                    raise given_up(error, attempts) from None
                if isinstance(error, RateLimitError) and error.limit == "concurrency":
                    self._gate.narrow()
                log.info("%s: %s; trying again in %.1f s", what, error, wait)
                pause(wait)
                waited += wait if by_quota else 0.0

    def _post(self, form: dict[str, str]) -> bytes:
        self._gate.acquire()
        try:
            # A request that names its session does not count against the hour.
            answer = self._send(form) if form.get("session_id") else self._send_counted(form)
        finally:
            self._gate.release()
        error = error_of(answer)
        if error is not None:
            raise error
        return answer.body

    def _send(self, form: dict[str, str]) -> Answer:
        return self._transport.post(
            self._settings.origin + ENGAGE_PATH,
            params=self._settings.params,
            form=form,
            auth=self._settings.auth,
        )

    def _send_counted(self, form: dict[str, str]) -> Answer:
        if self._hour is None:
            return self._send(form)
        asked = self._hour.take()
        try:
            answer = self._send(form)
        except MixpanelFetchError:
            self._hour.settle(asked, None)
            raise
        self._hour.settle(asked, answer)
        return answer


class MixpanelAPIClient:
    """A client of Mixpanel's Engage query API for one project.

    Takes :class:`~mixpanel_fetch.model.Credentials`, or their parts as keywords; the other
    keywords are those of :class:`ClientSettings`, ``max_retries`` and ``max_wait`` (seconds)
    those of :class:`~mixpanel_fetch.quota.RetryPolicy`. Holds no connection by itself: a call
    opens one and closes it, and :meth:`connect` keeps one for many.
    """

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        username: str | None = None,
        secret: str | Secret | None = None,
        project_id: str | int | None = None,
        region: str = "us",
        workspace_id: str | int | None = None,
        api_secret: str | Secret | None = None,
        max_retries: int = 3,
        max_wait: float = 120.0,
        **settings: Any,
    ) -> None:
        if credentials is None:
            credentials = Credentials(
                username=username,
                secret=_as_secret(secret),
                project_id=None if project_id is None else str(project_id),
                region=region,
                workspace_id=None if workspace_id is None else str(workspace_id),
                api_secret=_as_secret(api_secret),
            )
        retry = RetryPolicy(max_retries=max_retries, max_wait=max_wait)
        self.settings = ClientSettings(credentials, retry=retry, **settings)
        self.gate = ConcurrencyGate(self.settings.max_concurrency, sleep=pause)

    @contextmanager
    def connect(self) -> Iterator[EngageConnection]:
        """Open a transport for the calling thread, and close it on exit."""
        settings = self.settings
        with settings.transport() as transport:
            yield EngageConnection(settings, self.gate, transport)

    def query_engage_page(
        self,
        page: int,
        *,
        session_id: str | None = None,
        where: str | None = None,
        cohort_id: str | None = None,
        output_properties: list[str] | None = None,
        page_size: int | None = None,
    ) -> dict[str, Any]:
        """Return one page: ``results, total, page_size, page, session_id``.

        ``page`` is zero-based; a page above 0 needs the ``session_id`` of page 0. ``results`` are
        ``{"$distinct_id": …, "$properties": {…}}`` as Mixpanel sent them; ``total`` is None on a
        page that does not carry it. Raises AuthenticationError, PaymentRequiredError,
        RateLimitError, QueryError, SessionExpiredError, ServerError, TransportError; ConfigError
        for arguments that cannot be asked.
        """
        if page < 0:
            raise ConfigError("page is a zero-based index, so it cannot be negative")
        if page > 0 and not session_id:
            raise ConfigError("a page above 0 needs the session_id that page 0 answered with")
        properties = None if output_properties is None else tuple(output_properties)
        query = ProfileQuery(where, cohort_id, properties)
        with self.connect() as connection:
            return connection.fetch_document(query, page, session_id, page_size)


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an unclosed bracket, a port that is none
        return False


def _as_secret(value: str | Secret | None) -> Secret | None:
    return Secret(value) if isinstance(value, str) else value
