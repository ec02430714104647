"""The Engage query API, one page a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from mixpanel_fetch.answers import error_of
from mixpanel_fetch.client_settings import ClientSettings as ClientSettings
from mixpanel_fetch.cohorts import Cohort, decode_cohorts
from mixpanel_fetch.decode import DecodedPage, decode_document, decode_page
from mixpanel_fetch.errors import ConfigError, MixpanelFetchError, RateLimitError
from mixpanel_fetch.events import Announcer, Listener, Waiting
from mixpanel_fetch.hour import HourlyBudget
from mixpanel_fetch.model import Credentials, ProfileQuery
from mixpanel_fetch.protocols import Gate
from mixpanel_fetch.quota import ConcurrencyGate, RetryPolicy, given_up
from mixpanel_fetch.secret import Secret
from mixpanel_fetch.sharing import share
from mixpanel_fetch.transport import Answer, Transport, pause

log = logging.getLogger("mixpanel_fetch")
T = TypeVar("T")
ENGAGE_PATH = "/api/query/engage"
COHORTS_PATH = "/api/query/cohorts/list"


@dataclass(frozen=True)
class _Question:
    """What one request asks."""

    form: dict[str, str]
    path: str = ENGAGE_PATH

    @property
    def counts(self) -> bool:
        """Whether it counts against the hour: one that names its session does not."""
        return not self.form.get("session_id")


class EngageConnection:
    """Asks for pages over one transport; retries and waits as the policy says.

    A request needs a slot of ``gate`` and, where the quota is shared, one of the user's processes'
    together. Use from the thread that opened it, from its greenlets, or from other threads.
    """

    def __init__(
        self,
        settings: ClientSettings,
        gate: Gate,
        transport: Transport,
        on_wait: Listener | None = None,
    ) -> None:
        self._settings = settings
        self._announce = Announcer(on_wait)
        self._transport = transport
        self._gate = gate
        self._confirm: Callable[[], None] | None = getattr(gate, "confirm", None)
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

        question = self._question(query, index, session_id, page_size)
        (page, size), attempts = self._ask(index, question, read)
        return page, size, attempts

    def fetch_document(
        self, query: ProfileQuery, index: int, session_id: str | None, page_size: int | None
    ) -> dict[str, Any]:
        """Return the contract's dict for a page. Raises as :meth:`fetch_page`."""
        question = self._question(query, index, session_id, page_size)
        return self._ask(index, question, decode_document)[0]

    def fetch_cohorts(self) -> tuple[list[Cohort], int, int]:
        """Return the project's cohorts, the answer's bytes, and how many requests it took.

        One counted query. Raises as :meth:`fetch_page`.
        """

        def read(body: bytes) -> tuple[list[Cohort], int]:
            return decode_cohorts(body), len(body)

        (cohorts, size), attempts = self._ask(0, _Question({}, COHORTS_PATH), read)
        return cohorts, size, attempts

    def answer(self, query: ProfileQuery, page_size: int | None = None) -> Answer:
        """Return what page 0 is answered with, be it an error; nothing is asked again."""
        return self._exchange(self._question(query, 0, None, page_size))

    def queries_left(self) -> int | None:
        """Return how many counted queries the hour still has, as far as this machine knows."""
        return None if self._hour is None else self._hour.left()

    @staticmethod
    def _question(
        query: ProfileQuery, index: int, session_id: str | None, page_size: int | None
    ) -> _Question:
        form = query.form() | {"page": str(index)}
        if session_id is not None:
            form["session_id"] = session_id
        if page_size is not None:
            form["page_size"] = str(page_size)
        return _Question(form)

    def _ask(self, index: int, question: _Question, read: Callable[[bytes], T]) -> tuple[T, int]:
        attempts = faults = quotas = 0
        waited = 0.0
        while True:
            try:
                return read(self._post(question)), attempts + 1
            except MixpanelFetchError as error:
                attempts += error.attempts  # none where the hour was known to be used up
                by_quota = isinstance(error, RateLimitError)
                faults, quotas = faults + (not by_quota), quotas + by_quota
                failed = quotas if by_quota else faults
                wait = self._settings.retry.wait_before_retry(error, failed, waited)
                if wait is None:
                    raise given_up(error, attempts) from None
                limit = error.limit if isinstance(error, RateLimitError) else None
                if limit == "concurrency":
                    self._gate.narrow()
                log.info("page %d: %s; trying again in %.1f s", index, error, wait)
                self._announce(Waiting(index, str(error), wait, attempts, limit))
                pause(wait)
                waited += wait if by_quota else 0.0

    def _post(self, question: _Question) -> bytes:
        answer = self._exchange(question)
        error = error_of(answer)
        if error is not None:
            raise error
        return answer.body

    def _exchange(self, question: _Question) -> Answer:
        self._gate.acquire()
        try:
            return self._send_counted(question) if question.counts else self._send(question)
        finally:
            self._gate.release()

    def _send(self, question: _Question) -> Answer:
        return self._transport.post(
            self._settings.origin + question.path,
            params=self._settings.params,
            form=question.form,
            auth=self._settings.auth,
            confirm=self._confirm,
        )

    def _send_counted(self, question: _Question) -> Answer:
        if self._hour is None:
            return self._send(question)
        asked = self._hour.take()
        try:
            answer = self._send(question)
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
    def connect(
        self, on_wait: Listener | None = None, gate: Gate | None = None
    ) -> Iterator[EngageConnection]:
        """Open a transport for the calling thread, and close it on exit.

        ``on_wait`` is told of each wait before a request is made again. Slots come from ``gate``,
        else from the client's own.
        """
        settings = self.settings
        with settings.transport() as transport:
            yield EngageConnection(settings, gate or self.gate, transport, on_wait)

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

    def list_cohorts(self) -> list[Cohort]:
        """Return the project's saved cohorts, for one counted query.

        Raises AuthenticationError, PaymentRequiredError, RateLimitError, QueryError, ServerError,
        TransportError.
        """
        with self.connect() as connection:
            return connection.fetch_cohorts()[0]


def _as_secret(value: str | Secret | None) -> Secret | None:
    return Secret(value) if isinstance(value, str) else value
