"""A plugin's options in words, read from its marshmallow schema."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

from mixpanel_fetch.secret import MASK, Secret, names_a_secret, redact_uri

if TYPE_CHECKING:
    from marshmallow import Schema
    from marshmallow.fields import Field

_TYPES = {
    "Boolean": "true or false",
    "Integer": "whole number",
    "Number": "number",
    "Url": "URL",
    "Email": "e-mail address",
    "UUID": "UUID",
    "String": "text",
    "Date": "date",
    "Time": "time of day",
    "DateTime": "date and time",
    "TimeDelta": "time span",
    "Mapping": "table",
    "Nested": "table",
}
"""By the name of a field's class or of the nearest of its bases: a field of one's own has one."""

# How the options are told of in the docstring of a schema: "``limit``: the most pages at once."
_IN_DOCSTRING = re.compile(r"((?:``[\w.-]+``(?:,\s+|\s+and\s+)?)+):\s")


def described(schema: type[Schema] | None) -> list[dict[str, Any]]:
    """Return each option: name, type, required, default, limits, secret, description.

    What may be a secret shows neither its default nor the values it may have.
    """
    if schema is None:
        return []
    texts = _texts(schema)
    return [_option(name, field, texts) for name, field in schema().load_fields.items()]


def takes_others(schema: type[Schema] | None) -> bool:
    """Whether the plugin is given options that its schema does not name."""
    return schema is not None and schema().unknown == "include"


def _option(attribute: str, field: Field[Any], texts: dict[str, str]) -> dict[str, Any]:
    name = attribute if field.data_key is None else field.data_key
    default = _default(field)
    secret = bool(
        names_a_secret(name) or isinstance(default, Secret) or field.metadata.get("secret")
    )
    return {
        "name": name,
        "type": "text" if secret else _type(field),
        "required": bool(field.required),
        "default": MASK if secret and default is not None else _shown(default),
        "limits": [] if secret else list(_limits(field.validators)),
        "secret": secret,
        "description": str(field.metadata.get("description") or texts.get(name, "")),
    }


def _type(field: Any) -> str:
    inner = getattr(field, "inner", None)
    if inner is not None:
        limits = "".join(f", each {words}" for words in _limits(inner.validators))
        return f"list of {_type(inner)}{limits}"
    choices = getattr(field, "enum", None)
    if choices is not None:
        by_value = getattr(field, "by_value", False)
        return _one_of(one.value if by_value else one.name for one in choices)
    bases = (base.__name__ for base in type(field).__mro__)
    return next((_TYPES[name] for name in bases if name in _TYPES), "value")


def _default(field: Field[Any]) -> Any:
    from marshmallow import missing

    default = field.load_default
    if default is missing:
        return None
    return "computed" if callable(default) and not isinstance(default, type) else default


def _shown(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redact_uri(str(value))


def _limits(validators: Iterable[Any]) -> Iterator[str]:
    for validator in validators:
        words = _WORDS_OF.get(type(validator).__name__)
        if words is not None:
            yield from words(validator)
        elif inspect.isroutine(validator) or callable(validator):
            yield "further checked"


def _range(validator: Any) -> Iterator[str]:
    low, high = validator.min, validator.max
    if None not in {low, high} and validator.min_inclusive and validator.max_inclusive:
        yield f"from {low} to {high}"
        return
    if low is not None:
        yield f"{'at least' if validator.min_inclusive else 'above'} {low}"
    if high is not None:
        yield f"{'at most' if validator.max_inclusive else 'below'} {high}"


def _length(validator: Any) -> Iterator[str]:
    low, high = (validator.min, validator.max)
    if validator.equal is not None:
        low = high = validator.equal
    if low is not None and low == high:
        yield f"of length {low}"
        return
    if low is not None:
        yield f"of length {low} or more"
    if high is not None:
        yield f"of length {high} or less"


def _one_of(choices: Iterable[Any]) -> str:
    return "one of " + ", ".join(str(choice) for choice in choices)


_WORDS_OF: dict[str, Callable[[Any], Iterable[str]]] = {
    "Range": _range,
    "Length": _length,
    "OneOf": lambda one: [_one_of(one.choices)],
    "ContainsOnly": lambda one: [f"only {', '.join(map(str, one.choices))}"],
    "NoneOf": lambda one: [f"none of {', '.join(map(str, one.iterable))}"],
    "Equal": lambda one: [f"only {one.comparable}"],
    "Regexp": lambda one: [f"must match {one.regex.pattern}"],
    "And": lambda one: _limits(one.validators),
    # These two are what the field's type says already.
    "URL": lambda _: [],
    "Email": lambda _: [],
}


def _texts(schema: type[Schema]) -> dict[str, str]:
    """Return what the schema's docstring says of each option."""
    parts = _IN_DOCSTRING.split(inspect.cleandoc(schema.__doc__ or ""))
    texts = {}
    for names, text in zip(parts[1::2], parts[2::2], strict=True):
        words = " ".join(text.replace("``", "").split()).rstrip(".")
        texts.update(dict.fromkeys(re.findall(r"``([\w.-]+)``", names), words))
    return texts
