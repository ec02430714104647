"""The transform ``keep-only``: what is named stays, all else goes.

Names match exactly, case included. The distinct_id always stays, since rows are told apart by it;
the column last_seen stays if ``$last_seen`` is named.
"""

from __future__ import annotations

from mixpanel_fetch.protocols import Transform
from mixpanel_fetch_redact.columns import LAST_SEEN
from mixpanel_fetch_redact.paths import exact, parse_paths, tree_of
from mixpanel_fetch_redact.walking import Keep, Redaction


def make_keep_only(argument: str | None) -> Transform:
    """Return the transform ``keep-only``. Raises ConfigError for a bad argument."""
    paths = parse_paths(argument, "keep-only:plan,company.name")
    return Redaction(Keep(tree_of(paths, exact)), keeps_last_seen=LAST_SEEN in paths)
