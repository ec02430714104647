"""Answers that come from a fault and not from the project's data, and spoiled bodies."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from mixpanel_fetch.simulator import credentials
from mixpanel_fetch.simulator.faults import Fault
from mixpanel_fetch.simulator.limits import Limits
from mixpanel_fetch.simulator.messages import Answer, ApiError, Request
from mixpanel_fetch.simulator.queries import uncached_query

_ERRORS: Mapping[int, str] = {
    400: "invalid request",
    404: "not found",
    500: "Internal server error",
    502: "Bad gateway",
    503: "Service unavailable",
    504: "Gateway timeout",
}
_BLANKS = b" " * (1024 * 1024)
_HTML = b"<!DOCTYPE html><html><body><h1>We will be back soon</h1></body></html>\n"


def answer_of(fault: Fault, request: Request, limits: Limits) -> Answer:
    """Give the whole answer of a fault of one of the ANSWER_KINDS."""
    if fault.kind == "html":
        return Answer(200, _HTML, {"Content-Type": "text/html; charset=utf-8"})
    if fault.kind == "redirect":
        return Answer(302, b"", {"Location": fault.location or request.url})
    if fault.kind == "429_hourly":
        return limits.too_many_an_hour(retry_after=fault.retry_after).answer(request.url)
    if fault.kind == "429_concurrency":
        return limits.too_many_at_once(retry_after=fault.retry_after).answer(request.url)
    if fault.kind == "429_load_shed":
        return limits.load_shed(retry_after=fault.retry_after).answer(request.url)
    answer = _error_of(fault).answer(request.url)
    return answer.with_headers({"Retry-After": fault.retry_after} if fault.retry_after else {})


def spoiled(answer: Answer, fault: Fault) -> Answer:
    """Give an answer with its body spoiled by a fault of one of the BODY_KINDS, if it is one."""
    spoil = _SPOILERS.get(fault.kind)
    return answer if spoil is None else spoil(answer, fault)


def _error_of(fault: Fault) -> ApiError:
    if fault.kind == "expired_session":
        return uncached_query()
    if fault.code == 401:
        return credentials.unauthorized(401)
    if fault.code == 402:
        return credentials.payment_required()
    if fault.code == 403:
        return credentials.forbidden()
    return ApiError(fault.code, _ERRORS.get(fault.code, f"simulated status {fault.code}"))


def _cut_json(answer: Answer, _: Fault) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def _as_list(answer: Answer, _: Fault) -> Answer:
    return replace(answer, body=b"[" + answer.body + b"]")


def _not_gzip(answer: Answer, _: Fault) -> Answer:
    return answer.with_headers({"Content-Encoding": "gzip"})


def _bomb(answer: Answer, fault: Fault) -> Answer:
    zipped = answer.headers.get("Content-Encoding") == "gzip"
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    packed = [packer.compress(gzip.decompress(answer.body) if zipped else answer.body)]
    full, rest = divmod(fault.size, len(_BLANKS))
    packed += [packer.compress(_BLANKS) for _ in range(full)]
    packed += [packer.compress(_BLANKS[:rest]), packer.flush()]
    spoiled = replace(answer, body=b"".join(packed))
    return spoiled.with_headers({"Content-Encoding": "gzip"})


_SPOILERS: Mapping[str, Callable[[Answer, Fault], Answer]] = {
    "bad_json": _cut_json,
    "not_object": _as_list,
    "bad_gzip": _not_gzip,
    "bomb": _bomb,
}
