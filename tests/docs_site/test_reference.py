"""The pages of the reference that are written by hand name all that there is, and nothing else."""

from __future__ import annotations

import re

import pytest

import mixpanel_fetch
from mixpanel_fetch.cli.app import app
from mixpanel_fetch.config import SETTINGS
from mixpanel_fetch.schemas import ResultSchema
from mixpanel_fetch.simulator import FAULT_KINDS

from .pages import DOCS

REFERENCE = {page.stem: page.read_text(encoding="utf-8") for page in DOCS.glob("reference/*.md")}


def first_cells(text, heading):
    """Return the words set as code in the first cells of the table below a heading."""
    section = text.partition(f"# {heading}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.M)
    return [name for row in rows for name in re.findall(r"`([^`]*)`", row)]


def test_every_public_name_has_an_entry():
    named = re.findall(
        r"^\.\. \w+(?::\w+)?:: mixpanel_fetch\.(\w+)$", "\n".join(REFERENCE.values()), re.M
    )
    assert [name for name in mixpanel_fetch.__all__ if named.count(name) != 1] == []


def test_every_field_of_a_result_is_explained():
    assert first_cells(REFERENCE["result"], "The fields of a result") == list(ResultSchema().fields)


def test_every_kind_of_fault_is_explained():
    assert sorted(first_cells(REFERENCE["simulator"], "Faults")) == sorted(FAULT_KINDS)


def test_every_setting_is_explained():
    names = first_cells(REFERENCE["configuration"], "Settings")
    assert {*SETTINGS.values(), "MP_CONFIG", "MP_ACCOUNT"} <= set(names)
    for setting, variable in SETTINGS.items():
        assert f"| `{variable}` | `{setting}` |" in REFERENCE["configuration"]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 130, 143])
def test_every_exit_code_is_explained(code):
    assert re.search(rf"^\| {code} \| ", REFERENCE["exit-codes"], re.M)


def test_every_command_is_spoken_of_beyond_its_reference():
    text = "\n".join(
        page.read_text(encoding="utf-8")
        for page in [DOCS / "tutorial.md", *DOCS.glob("*/*.md")]
        if page.name != "hooks.md"
    )
    for name in app.list_commands(None):
        assert f"mp {name}" in text, f"no guide speaks of mp {name}"
