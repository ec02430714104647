"""What else than profiles of users a workspace fetches: cohorts, their members, groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mixpanel_fetch.client import MixpanelAPIClient
from mixpanel_fetch.config import Settings
from mixpanel_fetch.listings import CohortList
from mixpanel_fetch.query import ProfileQuery
from mixpanel_fetch.result import FetchResult, ParallelProfileFetchResult
from mixpanel_fetch.services import query_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mixpanel_fetch.filters import Filter
    from mixpanel_fetch.keywords import WorkspaceLandingKeywords


class OtherSubjects:
    """The part of a :class:`~mixpanel_fetch.workspace.Workspace` that is about them."""

    client: MixpanelAPIClient
    _settings: Settings
    fetch_profiles: Callable[..., FetchResult | ParallelProfileFetchResult]

    def list_cohorts(self) -> CohortList:
        """Return the project's saved cohorts, for one counted query.

        Raises as :meth:`~mixpanel_fetch.client.MixpanelAPIClient.list_cohorts`.
        """
        return CohortList(self.client.list_cohorts())

    def fetch_cohorts(
        self,
        name: str = "cohorts",
        *,
        parallel: bool = False,
        **keywords: Unpack[WorkspaceLandingKeywords],
    ) -> FetchResult | ParallelProfileFetchResult:
        """Fetch the list of saved cohorts into table ``name``, for one counted query.

        A row is a cohort: its id is ``distinct_id``, the rest are its properties. A table that is
        there is replaced, unless the mode says otherwise. Keywords, result and errors are those of
        :meth:`fetch_profiles`.
        """
        query = ProfileQuery(subject="cohorts")
        return self.fetch_profiles(name, parallel=parallel, query=query, **_replacing(keywords))

    def fetch_cohort_members(
        self,
        name: str = "cohort_members",
        *,
        cohort_ids: Sequence[str | int] | None = None,
        parallel: bool = False,
        **keywords: Unpack[WorkspaceLandingKeywords],
    ) -> FetchResult | ParallelProfileFetchResult:
        """Fetch who is in which saved cohort into table ``name``.

        ``cohort_ids`` are the cohorts, None: every one. A row is a pair: ``distinct_id`` is
        ``COHORT:ID``, the properties are ``cohort_id`` and ``distinct_id``. Each cohort is a page,
        and one of the queries that count against the project's hour; ``resume`` goes on where they
        were used up. Else as :meth:`fetch_cohorts`.
        """
        ids = None if cohort_ids is None else tuple(map(str, cohort_ids))
        query = ProfileQuery(subject="cohort-members", cohort_ids=ids)
        return self.fetch_profiles(name, parallel=parallel, query=query, **_replacing(keywords))

    def fetch_groups(
        self,
        group_key: str,
        name: str | None = None,
        *,
        group_id: str | int | None = None,
        where: str | Filter | None = None,
        output_properties: list[str] | None = None,
        query: ProfileQuery | None = None,
        parallel: bool = False,
        **keywords: Unpack[WorkspaceLandingKeywords],
    ) -> FetchResult | ParallelProfileFetchResult:
        """Fetch the profiles of groups, such as companies, into table ``name``.

        ``group_key`` is the name of the group key, and that of the table where ``name`` is None;
        its number (Project Settings, Group Keys) is ``group_id``, else the query's, else what the
        configuration file has under ``[accounts.NAME.groups]``. Keywords, result and errors are
        those of :meth:`fetch_profiles`; ConfigError, too, for a key whose number nobody knows.
        """
        query = query_of(query, where, None, output_properties)
        number = group_id or query.data_group_id or self._settings.group_id(group_key)
        query = replace(query, data_group_id=str(number))
        return self.fetch_profiles(name or group_key, parallel=parallel, query=query, **keywords)


def _replacing(keywords: WorkspaceLandingKeywords) -> WorkspaceLandingKeywords:
    """Return ``keywords`` with the mode ``replace``, unless they say another."""
    others = (keywords.get("append"), keywords.get("mode"), keywords.get("sync"))
    return keywords if any(others) else {**keywords, "mode": "replace"}
