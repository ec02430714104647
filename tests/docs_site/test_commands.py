"""Every command line of ``mp`` in the documentation is one that there is."""

from __future__ import annotations

import pytest
import yaml

from .commands import command_lines, fault_of
from .pages import ROOT, blocks, inline_code, pages


def scripts(page):
    """Yield what is run in a block, with its place and whether it stands there whole."""
    for block in blocks(page):
        if block.language == "sh":
            yield block.place, block.code, True
        elif block.language in {"text", "systemd"}:
            lines = [line.removeprefix("ExecStart=") for line in block.code.splitlines()]
            code = "\n".join(line for line in lines if line.startswith(("mp ", "/opt/")))
            yield block.place, code, "[" not in code
        elif block.language == "yaml":
            for job in yaml.safe_load(block.code).get("jobs", {}).values():
                for step in job["steps"]:
                    yield block.place, step.get("run", ""), True


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_is_there(page):
    faults = [
        f"{place}: mp {' '.join(words)}: {fault}"
        for place, code, whole in scripts(page)
        for words in command_lines(code)
        if (fault := fault_of(words, whole=whole))
    ]
    faults += [
        f"{place}: {code}: {fault}"
        for place, code in inline_code(page)
        if code.startswith("mp ")
        for words in command_lines(code)
        if (fault := fault_of(words, whole=False))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("mp fetch profiles users --parallel | head", None),
        ("MP_REGION=eu mp --version", None),
        ("mp fetch profile", "no command 'profile'"),
        ("mp fetch profiles --paralel", "--paralel"),
        ("mp fetch profiles users more", "more is too much"),
        ("mp fetch profiles --workers none", "'none' is not a valid integer"),
        ("mp runs discard", "run_id lacks"),
        ("true && mp runs --format yaml > out", "'yaml' is not one of"),
    ],
)
def test_a_wrong_command_line_is_seen(line, fault):
    (words,) = command_lines(line)
    found = fault_of(words, whole=True)
    assert (found is None) if fault is None else (fault in (found or ""))
