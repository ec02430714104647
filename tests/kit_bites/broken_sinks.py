"""Every broken sink: importing a module registers those in it."""

from __future__ import annotations

from . import (
    broken_columns,
    broken_concurrent,
    broken_history,
    broken_manners,
    broken_modes,
    broken_reading,
    broken_resume,
    broken_runs,
    broken_sync,
    broken_values,
)
from .registering import BITES

MODULES = (
    *(broken_runs, broken_values, broken_modes),
    *(broken_resume, broken_reading, broken_manners),
    *(broken_sync, broken_history, broken_columns, broken_concurrent),
)
__all__ = ["BITES", "MODULES"]
