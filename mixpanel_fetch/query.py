"""Which profiles, and what of them: the one place that knows the parameters of an Engage query."""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.filters import Filter

_GROUP_ID = re.compile(r"-?\d{1,19}", re.ASCII)
Subject = Literal["cohorts", "cohort-members"]
_EXCLUSIVE = (
    ("cohort_id", "behaviors", "Mixpanel takes a cohort or behaviors, not both"),
    ("distinct_ids", "where", "ids name the profiles already, so a filter has nothing to choose"),
    ("distinct_ids", "cohort_id", "ids name the profiles already, so leave the cohort out"),
    ("distinct_ids", "behaviors", "ids name the profiles already, so leave the behaviors out"),
)
_NEEDED = (
    ("include_all_users", "cohort_id", "it says which members of a cohort come"),
    ("as_of_timestamp", "behaviors", "Mixpanel keeps no history of profiles"),
    ("utc_offset", "behaviors", "it says when the window of behaviors ends"),
    ("behaviors", "where", 'it is there that they are used: behaviors["NAME"] > 0'),
)


@dataclass(frozen=True)
class ProfileQuery:
    """The query part of an Engage request (Mixpanel's "Query Profiles" reference).

    Raises ConfigError for what could never be asked, so that no request is spent on it.

    ``where``: an expression, as text or a :class:`~mixpanel_fetch.filters.Filter`. ``cohort_id``:
    the number of a saved cohort, as text; ``include_all_users``: with it, also members that have no
    profile. ``output_properties``: the names of the properties wanted (None: all).
    ``distinct_ids``: only these profiles, each named once. ``data_group_id``: profiles of groups
    in place of users, by the number of the group key (Project Settings, Group Keys), a signed
    number of up to 19 digits, as text. ``behaviors``: a JSON array of ``{"window": "30d", "name":
    "x", "event_selectors": [{"event": "E"}]}``, as text or as the list, which ``where`` then uses.
    ``as_of_timestamp``: where the window of ``behaviors`` ends, in Unix seconds; without it, the
    moment of the first request, in the project's time where ``utc_offset`` (hours east of UTC)
    says which that is. It is no look at profiles as they once were: Mixpanel keeps none.

    ``subject``: what is asked for in place of profiles, and then goes with nothing of the above:
    ``"cohorts"``, the list of saved cohorts, or ``"cohort-members"``, who is in which of them, in
    those of ``cohort_ids`` (None: in every one).
    """

    where: str | None = None
    cohort_id: str | None = None
    output_properties: tuple[str, ...] | None = None
    distinct_ids: tuple[str, ...] | None = None
    data_group_id: str | None = None
    include_all_users: bool = False
    behaviors: str | None = None
    as_of_timestamp: int | None = None
    utc_offset: float | None = None
    subject: Subject | None = None
    cohort_ids: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, read in _READERS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, read(value))
        texts = (self.where, self.behaviors, *self._names())
        if not all(_is_text(text or "") for text in texts):
            raise ConfigError("the query is not text in UTF-8")
        for one, other, why in _EXCLUSIVE:
            if self._has(one) and self._has(other):
                raise ConfigError(f"{one} and {other} cannot go together: {why}")
        for one, other, why in _NEEDED:
            if self._has(one) and not self._has(other):
                raise ConfigError(f"{one} needs {other}: {why}")
        if self.cohort_ids is not None and self.subject != "cohort-members":
            raise ConfigError("cohort_ids say whose members are asked for: cohort-members")
        others = self.document().keys() - {"subject", "cohort_ids"}
        if self.subject is not None and others:
            raise ConfigError(
                f"{self.subject} are no profiles: {min(others)} does not go with them"
            )

    def form(self) -> dict[str, str]:
        """Return the form fields of a request.

        A cohort always comes with ``include_all_users``: the API's own default is true and would
        add ids that have no profile.
        """
        fields: dict[str, str] = {}
        if self.where is not None:
            fields["where"] = self.where
        if self.cohort_id is not None:
            fields["filter_by_cohort"] = json.dumps({"id": int(self.cohort_id)})
            fields["include_all_users"] = json.dumps(self.include_all_users)
        if self.output_properties is not None:
            fields["output_properties"] = json.dumps(list(self.output_properties))
        if self.distinct_ids is not None:
            fields["distinct_ids"] = json.dumps(list(self.distinct_ids), ensure_ascii=False)
        if self.data_group_id is not None:
            fields["data_group_id"] = self.data_group_id
        if self.behaviors is not None:
            fields["behaviors"] = self.behaviors
        if self.as_of_timestamp is not None:
            fields["as_of_timestamp"] = str(self.as_of_timestamp)
        return fields

    def document(self) -> dict[str, Any]:
        """Return the parts that were given, JSON-able: for metadata and fingerprints."""
        return {
            name: value
            for name, value in asdict(self).items()
            if value is not None and value is not False
        }

    def dated(self, now: float | None = None) -> ProfileQuery:
        """Return the query with the ``as_of_timestamp`` that paging through behaviors needs.

        Without one, Mixpanel forgets the result after the first page ("request for page in
        uncached query"). ``now`` is in Unix seconds.
        """
        if self.behaviors is None or self.as_of_timestamp is not None:
            return self
        moment = time.time() if now is None else now
        return replace(self, as_of_timestamp=int(moment + (self.utc_offset or 0) * 3600))

    def _has(self, name: str) -> bool:
        value = getattr(self, name)
        return value is not None and value is not False

    def _names(self) -> tuple[str, ...]:
        return (*(self.output_properties or ()), *(self.distinct_ids or ()))


def _expression(value: object) -> str:
    if not isinstance(value, (str, Filter)):
        raise ConfigError(f"where is an expression in text, or a filter, not {value!r}")
    if not str(value).strip():
        raise ConfigError("the where expression is empty; leave it out to fetch every profile")
    return str(value)


def _cohort(value: object) -> str:
    cohort = str(value).strip()
    if not (cohort.isascii() and cohort.isdigit() and len(cohort) < 20):
        raise ConfigError(f"cohort must be an integer id, not {cohort[:40]!r}")
    return cohort


def _properties(value: object) -> tuple[str, ...]:
    if not isinstance(value, (tuple, list)):
        raise ConfigError("output_properties is a list of names, not one text")
    if not value or not all(isinstance(name, str) and name for name in value):
        raise ConfigError("output_properties needs at least one name, and no empty one")
    return tuple(value)


def _ids(value: object) -> tuple[str, ...]:
    if not isinstance(value, (tuple, list)):
        raise ConfigError("distinct_ids is a list of ids, not one text")
    if not value or not all(isinstance(each, str) and each for each in value):
        raise ConfigError("distinct_ids needs at least one id, and no empty one; ids are text")
    return tuple(dict.fromkeys(value))


def _group(value: object) -> str:
    if isinstance(value, float):
        raise ConfigError("data_group_id must be text or an integer: a float loses its last digits")
    group = str(value).strip()
    if not _GROUP_ID.fullmatch(group) or not -(2**63) <= int(group) < 2**63:
        raise ConfigError(
            f"data_group_id must be the group key's number of up to 19 digits, not {group[:40]!r};"
            " it stands in Project Settings, Group Keys"
        )
    return group


def _behaviors(value: object) -> str:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ConfigError("behaviors is not JSON") from None
    usable = isinstance(value, (list, tuple)) and value and all(map(_is_behavior, value))
    if not usable:
        raise ConfigError(
            'behaviors must be a JSON array of {"window": "30d", "name": "x",'
            ' "event_selectors": [{"event": "E"}]}'
        )
    return json.dumps(value, ensure_ascii=False)


def _is_behavior(value: object) -> bool:
    return isinstance(value, dict) and {"window", "name", "event_selectors"} <= value.keys()


def _timestamp(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**32:
        raise ConfigError(f"as_of_timestamp must be in whole Unix seconds, not {value!r}")
    return value


def _offset(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -14 <= value <= 14:
        raise ConfigError(f"utc_offset must be in hours east of UTC, -14 to 14, not {value!r}")
    return float(value)


def _subject(value: object) -> str:
    if value not in get_args(Subject):
        raise ConfigError(f"subject is one of {', '.join(get_args(Subject))}, not {value!r}")
    return str(value)


def _cohorts(value: object) -> tuple[str, ...]:
    if not isinstance(value, (tuple, list)) or not value:
        raise ConfigError("cohort_ids is a list of ids, at least one")
    return tuple(dict.fromkeys(map(_cohort, value)))


_READERS = {
    "where": _expression,
    "cohort_id": _cohort,
    "output_properties": _properties,
    "distinct_ids": _ids,
    "data_group_id": _group,
    "behaviors": _behaviors,
    "as_of_timestamp": _timestamp,
    "utc_offset": _offset,
    "subject": _subject,
    "cohort_ids": _cohorts,
}


def _is_text(value: str) -> bool:
    """Whether UTF-8 can hold ``value``: the bytes of an argument may have been none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
