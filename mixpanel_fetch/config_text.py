"""Changes to the text of the configuration file that leave everything else as it stands.

tomlkit writes keys and values; where a table or a key goes is decided here, because tomlkit would
put it between a table and the comment above it. What comes out is read again and compared.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import tomlkit

from mixpanel_fetch.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def with_account(text: str, name: str, values: Mapping[str, str]) -> str:
    """Return ``text`` with ``values`` as table ``[accounts.NAME]``, new or in its old place.

    Tables within the account's, such as its groups, stay.
    """
    expected = tomllib.loads(text)
    accounts = expected.setdefault("accounts", {})
    tables = {key: one for key, one in accounts.get(name, {}).items() if isinstance(one, dict)}
    accounts[name] = {**tables, **values}
    blocks = _blocks(text)
    place = _place_of(blocks, name)
    if place is None:
        table = tomlkit.dumps({"accounts": {name: dict(values)}})
        gap = "\n" if text.strip() else ""
        return _checked(_ended(text) + gap + table, expected)
    header, body, rest = _parts(blocks[place])
    inline = {key: tables[key] for key in tables.keys() & tomllib.loads(body)}
    blocks[place] = header + _with_values(body, {**values, **inline}) + rest
    return _checked("".join(blocks), expected)


def without_account(text: str, name: str) -> str:
    """Return ``text`` without table ``[accounts.NAME]``; comments of what follows stay."""
    expected = tomllib.loads(text)
    del expected["accounts"][name]
    blocks = _blocks(text)
    blocks = [
        _parts(block)[2].lstrip("\r\n") if _inside(block, name) else block for block in blocks
    ]
    place = _place_of(blocks, name)
    if place is not None:
        rest = _parts(blocks[place])[2]
        above = "".join(blocks[:place])
        alone = not above.strip() or above.endswith(("\n\n", "\n\r\n"))
        blocks[place] = rest.lstrip("\r\n") if alone else rest
    said = "".join(blocks)
    return _checked(_ended(said.rstrip()) if place == len(blocks) - 1 else said, expected)


def with_default(text: str, name: str | None) -> str:
    """Return ``text`` with ``default = "NAME"`` at its top level; without it where it is None."""
    expected = tomllib.loads(text)
    if expected.pop("default", None) == name:
        return text
    expected |= {} if name is None else {"default": name}
    blocks = _blocks(text)
    _, body, rest = _parts(blocks[0])
    if not body and name is not None:
        blocks[0] = f"{tomlkit.dumps({'default': name})}\n" + rest
        return _checked("".join(blocks), expected)
    values = {key: value for key, value in tomllib.loads(body).items() if key != "default"}
    values |= {} if name is None else {"default": name}
    blocks[0] = _with_values(body, values) + rest if values else rest.lstrip("\r\n")
    return _checked("".join(blocks), expected)


def _blocks(text: str) -> list[str]:
    """Return what stands before the first table, then each table from its header on."""
    blocks = [""]
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith("["):
            blocks.append("")
        blocks[-1] += line
    return blocks


def _place_of(blocks: list[str], name: str) -> int | None:
    return next((i for i, block in enumerate(blocks) if _inside(block, name) == {}), None)


def _inside(block: str, name: str) -> Any:
    """Return what the header of ``block`` names inside ``[accounts.NAME]``: ``{}`` for that itself.

    None for a table that stands elsewhere.
    """
    try:
        said = tomllib.loads("".join(block.splitlines()[:1]))
    except tomllib.TOMLDecodeError:  # a line of a list
        return None
    accounts = said.get("accounts") if block.lstrip().startswith("[") else None
    return accounts.get(name) if isinstance(accounts, dict) else None


def _parts(block: str) -> tuple[str, str, str]:
    """Return the header of ``block`` if it has one, its keys, and what comes after the last."""
    lines = block.splitlines(keepends=True)
    first = 1 if lines and lines[0].lstrip().startswith("[") else 0
    end = len(lines)
    while end > first and (not lines[end - 1].strip() or lines[end - 1].lstrip()[0] == "#"):
        end -= 1
    return _ended("".join(lines[:first])), _ended("".join(lines[first:end])), "".join(lines[end:])


def _with_values(body: str, values: Mapping[str, Any]) -> str:
    document = tomlkit.parse(body)
    for key in [key for key in document if key not in values]:
        del document[key]
    for key, value in values.items():
        if document.get(key) != value:
            document[key] = value
    return tomlkit.dumps(document)


def _ended(text: str) -> str:
    """Return ``text`` with its last line ended."""
    return text + "\n" if text and not text.endswith("\n") else text


def _checked(text: str, expected: Mapping[str, Any]) -> str:
    """Return ``text`` if it says what is ``expected``. Raises ConfigError otherwise."""
    # No accounts are as good as an empty table of them.
    if {"accounts": {}, **_read(text)} != {"accounts": {}, **expected}:
        raise ConfigError(
            "the configuration file is written in a way that mp cannot change; write its accounts"
            " as tables [accounts.NAME], or change it by hand"
        )
    return text


def _read(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
