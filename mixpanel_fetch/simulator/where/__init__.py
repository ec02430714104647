"""The engage expression language: what the `where` parameter may say.

A small grammar (facts sheet 6.2 to 6.10): comparisons, `in`, `and`, `or`, `not`, `+`, `-`, the
casts `defined`, `number`, `string`, `list`, `datetime`, and `NOW`.
"""

from mixpanel_fetch.simulator.where.nodes import Expression, Scope
from mixpanel_fetch.simulator.where.parser import parse
from mixpanel_fetch.simulator.where.tokens import WhereSyntaxError, quote
from mixpanel_fetch.simulator.where.values import UNDEFINED, Instant, truth

__all__ = [
    "UNDEFINED",
    "Expression",
    "Instant",
    "Scope",
    "WhereSyntaxError",
    "parse",
    "quote",
    "truth",
]
