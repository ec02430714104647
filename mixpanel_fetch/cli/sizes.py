"""Sizes as arguments of a command."""

from __future__ import annotations

from typing import Any

import click

from mixpanel_fetch.sizes import bytes_of


class _Size(click.ParamType):  # type: ignore[type-arg]
    """Bytes, as a number or with a unit: ``500000``, ``64MiB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        try:
            size = int(text) if _is_number(text) else bytes_of(text)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if size < 1:
            self.fail("must be at least 1 byte", param, ctx)
        return size


class _PageSize(click.ParamType):  # type: ignore[type-arg]
    """A number of profiles, or ``auto``."""

    name = "page size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        text = str(value)
        if text == "auto":
            return text
        if not (_is_number(text) and int(text) > 0):
            self.fail(f"{text[:40]!r} is neither a whole number from 1 on nor auto", param, ctx)
        return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


SIZE = _Size()
PAGE_SIZE = _PageSize()
