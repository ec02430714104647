"""Names of columns, made from names of properties.

A property may be called anything in up to 255 characters, and ``Plan`` is another one than
``plan``; a column's name is one that any SQL store takes without quotes, whatever case it folds to.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from hashlib import sha256

LONGEST = 63
"""Bytes; PostgreSQL cuts off the rest. Other stores allow more."""

OWN = frozenset({"distinct_id", "last_seen", "properties", "deleted_at"})
"""Columns that the tables have already."""

_OTHER = re.compile(r"[^a-z0-9]+")
# Reserved in SQL:2016, PostgreSQL or DuckDB, so that a column of that name would need quotes.
_RESERVED = frozenset(
    """all analyse analyze and anti any array as asc asof asymmetric at authorization between binary
    both by case cast check collate collation column concurrently constraint create cross
    current_catalog current_date current_role current_schema current_time current_timestamp
    current_user default deferrable desc describe distinct do else end except exists extract
    false fetch following for foreign freeze from full generated glob grant group having ilike
    in initially inner intersect into is isnull join lambda lateral leading left like limit
    localtime localtimestamp map natural not notnull null offset on only or order outer over
    overlaps partition pivot pivot_longer pivot_wider placing positional preceding primary
    qualify range references returning right row rows select semi session_user show similar
    some struct summarize symmetric system_user table tablesample then to trailing true
    unbounded union unique unpack unpivot update user using values variadic verbose when where
    window with within""".split()  # noqa: SIM905
)


def column_name(property_name: str, taken: Collection[str] = ()) -> str:
    """Return a column's name for a property: lower case ASCII letters, digits and ``_``.

    ``$name`` becomes ``name``, ``Plan Tier`` becomes ``plan_tier``. Where that is ``taken`` or
    reserved, or had to be cut, the end of it is a digest of the property's name, so that the same
    property has the same name whatever others there are.
    """
    apart = unicodedata.normalize("NFKD", property_name.casefold())
    plain = apart.encode("ascii", "ignore").decode().lower()
    words = _OTHER.sub("_", plain).strip("_")
    if not words or words[0].isdigit():
        words = f"p_{words}".rstrip("_")
    free = words not in _RESERVED and words not in OWN and words not in taken
    if free and len(words) <= LONGEST:
        return words
    digest = sha256(property_name.encode("utf-8", "surrogatepass")).hexdigest()
    return next(
        name
        for length in range(6, len(digest))
        if (name := f"{words[: LONGEST - length - 1]}_{digest[:length]}") not in taken
    )
