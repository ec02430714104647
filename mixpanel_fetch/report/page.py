"""The page: templates, style and script put together, under a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from mixpanel_fetch._version import __version__
from mixpanel_fetch.model import RunRecord
from mixpanel_fetch.reading import TableSummary
from mixpanel_fetch.report.charts import bar_rules
from mixpanel_fetch.report.text import visible
from mixpanel_fetch.report.view import chart_words, page_view

if TYPE_CHECKING:
    from jinja2 import Environment

GENERATOR = '<meta name="generator" content="mixpanel-fetch'
"""How every page is marked as one of ours, in its first 1,000 characters."""


def render(
    summary: TableSummary, runs: Sequence[RunRecord] = (), *, destination: str, made_at: datetime
) -> str:
    """Return the page of one table: HTML that needs nothing beside it, below 2 MB.

    ``runs``: what the destination remembers, the newest first; only those of the table count.
    ``destination`` is its URI, redacted here; ``made_at`` is when the summary was made. Whatever
    names and values hold is shown as text.
    """
    view = page_view(summary, runs, destination=destination, made_at=made_at)
    template = _environment().get_template("page.html.j2")
    return template.render(view=view, chart_words=chart_words(view))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mixpanel_fetch.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["n"] = "{:,}".format
    for name, text in (
        ("style", f"{_asset(environment, 'style.css')}{bar_rules()}\n"),
        ("script", _asset(environment, "script.js")),
    ):
        environment.globals |= {name: text, f"{name}_hash": _hash(text)}
    environment.globals["version"] = __version__
    return environment


def _finalize(value: Any) -> Any:
    """Make whatever a template prints visible, so that no value can be forgotten."""
    return visible(value) if type(value) is str else value


def _asset(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    text, _, _ = environment.loader.get_source(environment, name)
    return f"\n{text.strip()}\n"


def _hash(text: str) -> str:
    """Return the source expression that lets an inline element run (CSP 3, "hash-source")."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
