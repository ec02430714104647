"""Typed columns beside the JSON of a table: what they are called, their types, what drifts."""

from mixpanel_fetch.columns.kinds import KINDS, Kind, type_for
from mixpanel_fetch.columns.mapping import Column, ColumnMapping, Drift
from mixpanel_fetch.columns.names import column_name

__all__ = ["KINDS", "Column", "ColumnMapping", "Drift", "Kind", "column_name", "type_for"]
