"""Profiles without storing them: an ordinary run whose sink hands each page to the caller."""

from __future__ import annotations

from mixpanel_fetch.streaming.stream import ProfileStream as ProfileStream
