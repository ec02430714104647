"""Requests as received, answers as sent, and errors on the way from one to the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Request:
    """One HTTP request; `url` is absolute, header names are in lower case."""

    method: str
    path: str
    url: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def params(self) -> Mapping[str, str]:
        """All parameters; those of the body win over those of the URL (facts sheet 1.6)."""
        return {**self.query, **self.form}

    @property
    def page(self) -> int | None:
        """The page asked for, 0 if none is named, None if it is no number."""
        text = self.params.get("page") or "0"
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    @property
    def session_id(self) -> str | None:
        """The session named, None if absent or empty."""
        return self.params.get("session_id") or None


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; `headers` are those besides the length of the body."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def with_headers(self, headers: Mapping[str, str]) -> Answer:
        """Give the answer with more headers."""
        return replace(self, headers={**self.headers, **headers})


class ApiError(Exception):
    """What the API refuses: a status, the text of the body's `error`, and headers.

    `echo_request`: whether the body names the request's address, as most of them do. `extra`:
    other fields of the body.
    """

    def __init__(
        self,
        status: int,
        error: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
        echo_request: bool = True,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        self.echo_request = echo_request

    def answer(self, url: str) -> Answer:
        """Give the error as an answer to a request for `url`."""
        request = {"request": url} if self.echo_request else {}
        answer = json_answer(self.status, {**request, **self.extra, "error": str(self)})
        return answer.with_headers(self.headers)


def json_answer(status: int, document: object) -> Answer:
    """Give a JSON document as an answer."""
    body = json.dumps(document).encode("ascii")
    return Answer(status, body, {"Content-Type": JSON_TYPE})


def parse_query(text: str) -> dict[str, str]:
    """Read the parameters of a URL; of a repeated one the last counts."""
    return dict(parse_qsl(text, keep_blank_values=True))


def parse_body(body: bytes) -> dict[str, str]:
    """Read the parameters of a body, as a JSON object or else as a form (facts sheet 1.6).

    Values that are no texts come as their JSON text, null as an empty one. A body that is
    neither has none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _parse_form(body)
    if not isinstance(document, dict):
        return {}
    return {name: _as_parameter(value) for name, value in document.items()}


def _parse_form(body: bytes) -> dict[str, str]:
    try:
        return parse_query(body.decode("utf-8"))
    except UnicodeDecodeError:
        return {}


def _as_parameter(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)
