"""What the hooks' module gives to those who write plugins."""

from __future__ import annotations

import pytest

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.hookspecs import require_reading

READING = {"SELECT", "EXPLAIN"}


@pytest.mark.parametrize("kind", sorted(READING))
def test_one_statement_that_reads_may_be_asked(kind):
    require_reading([kind], READING)


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ([], "the query is empty; write a SELECT"),
        (["SELECT", "SELECT"], "one statement at a time, not 2"),
        (["SELECT", "DROP"], "one statement at a time, not 2"),
        (["DROP"], "DROP does more than read; only SELECT and its like can be asked"),
        (["select"], "select does more than read; only SELECT and its like can be asked"),
    ],
)
def test_any_other_query_is_refused_and_told_why(statements, words):
    with pytest.raises(ConfigError) as caught:
        require_reading(statements, READING)
    assert str(caught.value) == words
