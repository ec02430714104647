"""One self-contained HTML page about a table of profiles: what is in it, and how it came there.

:func:`render` needs no destination and no network, only the values that an engine gives. The page
asks for nothing once it is open: its style and its script are inside, and its policy (CSP) allows
those two alone.
"""

from __future__ import annotations

from mixpanel_fetch.report.page import GENERATOR as GENERATOR
from mixpanel_fetch.report.page import render as render
