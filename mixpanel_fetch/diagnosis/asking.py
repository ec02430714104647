"""The cheapest question there is, put to one region or to all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mixpanel_fetch.answers import error_of
from mixpanel_fetch.client import MixpanelAPIClient
from mixpanel_fetch.decode import decode_document
from mixpanel_fetch.errors import (
    AuthenticationError,
    MixpanelFetchError,
    PaymentRequiredError,
    RateLimitError,
    ServerError,
)
from mixpanel_fetch.model import REGIONS, Credentials
from mixpanel_fetch.query import ProfileQuery
from mixpanel_fetch.quota import parse_ratelimit
from mixpanel_fetch.transport import Answer

_SMALLEST = ProfileQuery(output_properties=("$last_seen",))


@dataclass(frozen=True)
class Outcome:
    """What a region said: its answer where there was one, and what was wrong with it."""

    region: str
    host: str
    answer: Answer | None = None
    error: MixpanelFetchError | None = None
    profiles: int = 0
    queries_left: int | None = None

    @property
    def knows_us(self) -> bool:
        """Whether the credentials are known there, whatever they may do."""
        if isinstance(self.error, AuthenticationError):
            return self.error.status == 403
        return self.error is None or isinstance(self.error, (PaymentRequiredError, RateLimitError))


@dataclass(frozen=True)
class Asker:
    """Asks with ``credentials``; a ``base_url`` stands for every region.

    ``keywords`` are those of :class:`~mixpanel_fetch.client.MixpanelAPIClient`.
    """

    credentials: Credentials
    base_url: str | None
    keywords: Mapping[str, Any]

    def ask(self, region: str) -> Outcome:
        """Ask ``region`` for one profile, once."""
        client = MixpanelAPIClient(
            replace(self.credentials, region=region), base_url=self.base_url, **self.keywords
        )
        outcome = Outcome(region, client.settings.host)
        try:
            with client.connect() as connection:
                answer = connection.answer(_SMALLEST, page_size=1)
                left = connection.queries_left()
            outcome = replace(outcome, answer=answer, queries_left=_queries_left(answer, left))
            error = error_of(answer)
            if error is not None:
                raise error
            return replace(outcome, profiles=_total(answer, outcome.host))
        except MixpanelFetchError as error:
            return replace(outcome, error=error)

    def elsewhere(self, region: str) -> list[Outcome]:
        """Ask the regions other than ``region``; one that does not answer is left out."""
        if self.base_url is not None:
            return []
        outcomes = [self.ask(other) for other in REGIONS if other != region]
        return [one for one in outcomes if one.answer is not None]


def _total(answer: Answer, host: str) -> int:
    if answer.body.lstrip().startswith(b"<"):
        raise ServerError(
            f"{host} answers with a web page: something on the way (a proxy, the network's login"
            " page) answers in Mixpanel's place",
            status=answer.status,
            transient=False,
        )
    total: int | None = decode_document(answer.body)["total"]
    return total or 0


def _queries_left(answer: Answer, known_here: int | None) -> int | None:
    for name, parameters in parse_ratelimit(answer.headers.get("RateLimit")).items():
        left = parameters.get("r", "")
        if "concurrency" not in name and left.isascii() and left.isdigit():
            return int(left)
    return known_here
