"""The parameters of an engage query, read and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mixpanel_fetch.simulator import where
from mixpanel_fetch.simulator.config import SimulatorConfig
from mixpanel_fetch.simulator.messages import ApiError, Request

# What a session is bound to: "the same query parameters" (facts sheet 4.2).
_BINDING = (
    "where",
    "selector",
    "distinct_id",
    "distinct_ids",
    "data_group_id",
    "output_properties",
    "behaviors",
    "as_of_timestamp",
    "filter_by_cohort",
    "include_all_users",
    "project_id",
    "workspace_id",
)


@dataclass(frozen=True)
class EngageQuery:
    """One query: which profiles, which of their properties, which page.

    `page_size` is None if the request names none. `binding` is what its session is bound to.
    """

    page: int
    page_size: int | None
    session_id: str | None
    condition: where.Expression | None
    distinct_ids: frozenset[str] | None
    group_id: str | None
    cohort_id: int | None
    include_all_users: bool
    output_properties: frozenset[str] | None
    binding: tuple[tuple[str, str], ...]


def read_query(config: SimulatorConfig, request: Request) -> EngageQuery:
    """Read the query that a request makes.

    Raises ApiError (400) for a parameter that cannot be read or does not go with another.
    """
    params = request.params
    page = _integer(params, "page", least=0) or 0
    if page > 0 and not request.session_id:
        raise ApiError(400, "session_id is required when page is above 0")
    if params.get("behaviors") and params.get("filter_by_cohort"):
        raise ApiError(400, "behaviors and filter_by_cohort are mutually exclusive")
    _integer(params, "workspace_id")
    as_of = _integer(params, "as_of_timestamp")
    if _json(params, "behaviors", list) is not None and page > 0 and as_of is None:
        raise uncached_query()
    return EngageQuery(
        page=page,
        page_size=_page_size(config, params),
        session_id=request.session_id,
        condition=_condition(params),
        distinct_ids=_distinct_ids(params),
        group_id=params.get("data_group_id") or None,
        cohort_id=_cohort_id(config, params),
        include_all_users=_boolean(params, "include_all_users", otherwise=True),
        output_properties=_texts(params, "output_properties"),
        binding=tuple((name, params.get(name, "")) for name in _BINDING),
    )


def uncached_query() -> ApiError:
    """Give the error of a session that is gone or belongs to another query (facts sheet 4.10)."""
    return ApiError(400, "request for page in uncached query for params")


def _page_size(config: SimulatorConfig, params: Mapping[str, str]) -> int | None:
    size = _integer(params, "page_size", least=0)
    most = config.max_page_size
    if size is None or most is None or size <= most:
        return size
    if config.page_size_over_max == "error":
        raise ApiError(400, f"page_size must be at most {most}")
    return most


def _condition(params: Mapping[str, str]) -> where.Expression | None:
    # `selector` is the older name, still sent by old clients (facts sheet section 3).
    text = params.get("where") or params.get("selector")
    if not text:
        return None
    try:
        return where.parse(text)
    except where.WhereSyntaxError as error:
        raise ApiError(400, f"invalid where expression: {error}") from error


def _distinct_ids(params: Mapping[str, str]) -> frozenset[str] | None:
    several = _texts(params, "distinct_ids")
    single = params.get("distinct_id")
    if not single:
        return several
    return frozenset({single}) if several is None else several & {single}


def _cohort_id(config: SimulatorConfig, params: Mapping[str, str]) -> int | None:
    cohort = _json(params, "filter_by_cohort", dict)
    if cohort is None:
        return None
    cohort_id = cohort.get("id")
    if isinstance(cohort_id, str) and config.cohort_id_as_text == "accept":
        cohort_id = int(cohort_id) if cohort_id.isascii() and cohort_id.isdigit() else None
    if isinstance(cohort_id, bool) or not isinstance(cohort_id, int):
        raise ApiError(400, 'filter_by_cohort must be an object like {"id": 12345}')
    return cohort_id


def _texts(params: Mapping[str, str], name: str) -> frozenset[str] | None:
    items = _json(params, name, list)
    if items is None:
        return None
    if not all(isinstance(item, str) for item in items):
        raise ApiError(400, f"{name} must be a JSON array of strings")
    return frozenset(items)


def _json(params: Mapping[str, str], name: str, kind: type) -> Any:
    text = params.get(name)
    if not text:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise ApiError(400, f"{name} must be a JSON {'array' if kind is list else 'object'}")
    return value


def _integer(params: Mapping[str, str], name: str, least: int | None = None) -> int | None:
    text = params.get(name)
    if not text:
        return None
    try:
        value = int(text)
    except ValueError:
        raise ApiError(400, f"{name} must be an integer, not {text!r}") from None
    if least is not None and value < least:
        raise ApiError(400, f"{name} must be at least {least}")
    return value


def _boolean(params: Mapping[str, str], name: str, *, otherwise: bool) -> bool:
    text = params.get(name, "").lower()
    if text in {"", "true", "false", "1", "0"}:
        return otherwise if not text else text in {"true", "1"}
    raise ApiError(400, f"{name} must be true or false")
