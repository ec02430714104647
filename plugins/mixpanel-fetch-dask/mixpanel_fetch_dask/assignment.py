"""What a worker has to know to fetch pages of a run."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from uuid import uuid4

from mixpanel_fetch.protocols import PageFetcher
from mixpanel_fetch_dask.credentials import settings_of, with_own_credentials, without_credentials
from mixpanel_fetch_dask.leases import Slots, project_digest


@dataclass(frozen=True)
class OwnCredentials:
    """The worker is to use its own: of ``account``, for the project that ``digest`` stands for."""

    digest: str
    account: str | None = None


@dataclass(frozen=True)
class Assignment:
    """The pages of one run, as they travel with each task.

    ``run`` is the run's own id. Dask writes what tasks are given into its logs: nothing of the
    fetcher shows, because it travels as bytes, and they have no repr.
    """

    run: str
    slots: Slots
    own: OwnCredentials | None
    sealed: bytes = field(repr=False)

    @classmethod
    def of(
        cls, fetcher: PageFetcher, limit: int, *, travel: bool, account: str | None
    ) -> Assignment:
        """Return the assignment to fetch what ``fetcher`` describes. Raises ConfigError."""
        run = uuid4().hex
        if travel:
            settings = getattr(fetcher, "settings", None)
            # Of a project that nobody knows, the slots are the run's own.
            slots = Slots.of(settings, limit) if settings else Slots(run, limit, 60.0)
            return cls(run, slots, None, pickle.dumps(fetcher))
        settings = settings_of(fetcher)
        own = OwnCredentials(project_digest(settings), account)
        sent = without_credentials(fetcher)
        return cls(run, Slots.of(settings, limit), own, pickle.dumps(sent))

    def fetcher(self) -> PageFetcher:
        """Return the fetcher, ready to be opened. Raises ConfigError."""
        fetcher: PageFetcher = pickle.loads(self.sealed)
        if self.own is None:
            return fetcher
        return with_own_credentials(fetcher, self.own.digest, self.own.account)
