"""Values that a query found, as text: JSON, and the cells of a table."""

from __future__ import annotations

import base64
import json
import math
from datetime import date, time
from decimal import Decimal
from typing import Any


def json_text(value: Any) -> str:
    """Return ``value`` as JSON with every digit that it has.

    NaN and infinities become null, bytes base64, dates, times and instants ISO 8601 as they are:
    an instant without a zone stays without one. What JSON has no word for is text.
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "null"
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() else "null"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(json_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{_quoted(k)}:{json_text(v)}' for k, v in value.items())}}}"
    return _quoted(value)


def cell_text(value: Any) -> str:
    """Return ``value`` as the text of a cell: like JSON, but without quotes, and null is empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return repr(value)
    text = json_text(value)
    return str(json.loads(text)) if text.startswith('"') else text


def _quoted(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value)
