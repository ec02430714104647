"""Whether the settings reach their project, and if not, which of them is wrong."""

from __future__ import annotations

from mixpanel_fetch.diagnosis.examination import Access as Access
from mixpanel_fetch.diagnosis.examination import examine as examine
