"""The list of saved cohorts."""

from __future__ import annotations

from mixpanel_fetch.simulator.config import SimulatorConfig
from mixpanel_fetch.simulator.messages import Answer, json_answer

_CREATED = "2026-01-02 03:04:05"


def cohorts_answer(config: SimulatorConfig) -> Answer:
    """Give the cohorts of the project, in the order of the config.

    ``count`` is how many members there are, those without a profile among them.
    """
    if config.wrong_region:
        return json_answer(200, [])
    cohorts = [
        {
            "count": len(members),
            "is_visible": 1,
            "description": "",
            "created": _CREATED,
            "project_id": config.project_id,
            "id": cohort,
            "name": config.cohort_names.get(cohort, f"Cohort {cohort}"),
        }
        for cohort, members in config.cohorts.items()
    ]
    return json_answer(200, cohorts)
