"""Names: of tables, and of what is kept beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from uuid import uuid4

from mixpanel_fetch.errors import ConfigError

OURS = "_mixpanel_fetch"
"""The folder of runs and of pages that are not published yet, beside the tables. Readers of Delta
tables never look there: it is in no table."""

LOG = "_delta_log"
_TABLE = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_FILE = re.compile(r"part-[0-9a-f]{32}\.mixpanel-fetch\.parquet")


def checked(table: str) -> str:
    """Return ``table``, a folder's name. Raises ConfigError for what cannot be one everywhere."""
    if _TABLE.fullmatch(table) is None or table.startswith("_") or table[-1] == ".":
        shown = table if len(table) <= 80 else f"{table[:77]}..."
        raise ConfigError(f"{shown!r} cannot be a table's folder; write letters, digits, _ - and .")
    return table


def new_file() -> str:
    """Return a name for a file of a table that no other has."""
    return f"part-{uuid4().hex}.mixpanel-fetch.parquet"


def is_file_of_ours(name: str) -> bool:
    """Whether a file in a table's folder was put there by a publish, through or not."""
    return _FILE.fullmatch(name) is not None


def plain(run_id: str) -> str:
    """Return a run's id, or what stands for it where it could not be a file's name."""
    return run_id if _ID.fullmatch(run_id) else sha256(run_id.encode()).hexdigest()


@dataclass(frozen=True)
class RunPlaces:
    """Where one run keeps what is its own, relative to the lake."""

    run_id: str

    @property
    def staging(self) -> str:
        """The folder of everything that has landed."""
        return f"{OURS}/staging/{plain(self.run_id)}"

    @property
    def work(self) -> str:
        """The folder of what is being made, where the lake is a local one."""
        return f"{OURS}/work/{plain(self.run_id)}"

    @property
    def pages(self) -> str:
        """The folder of pages as they came."""
        return f"{self.staging}/pages"

    @property
    def parts(self) -> str:
        """The folder of files made of pages."""
        return f"{self.staging}/parts"

    @property
    def notes(self) -> str:
        """The folder of the pages' notes."""
        return f"{self.staging}/notes"
