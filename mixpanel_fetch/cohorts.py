"""A project's saved cohorts, and the answer that lists them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from marshmallow import ValidationError

from mixpanel_fetch.errors import ServerError
from mixpanel_fetch.schemas import CohortSchema, one_line


@dataclass(frozen=True)
class Cohort:
    """A saved cohort, as Mixpanel lists it ("List Saved Cohorts").

    ``count`` is how many members Mixpanel counted last, ``created`` a time of its own writing,
    without a zone. None: the answer did not say.
    """

    id: int
    name: str = ""
    count: int | None = None
    description: str | None = None
    created: str | None = None
    is_visible: bool | None = None

    def row(self) -> dict[str, Any]:
        """Return the cohort as a row of a :class:`~mixpanel_fetch.batch.Batch`."""
        properties = {name: value for name, value in asdict(self).items() if name != "id"}
        return {"distinct_id": str(self.id), "properties": properties}


def decode_cohorts(body: bytes) -> list[Cohort]:
    """Return the cohorts in an answer, in its order.

    Raises ServerError when it is not what the API promises.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ServerError("Mixpanel's list of cohorts is not JSON") from None
    if not isinstance(document, list):
        raise ServerError("Mixpanel's list of cohorts is not an array")
    try:
        found = CohortSchema(many=True).load(document)
    except ValidationError as error:
        raise ServerError(
            f"Mixpanel's list of cohorts is not what its API promises: {one_line(error)}"
        ) from None
    return [Cohort(**each) for each in found]
