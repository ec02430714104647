"""Write the pages of the documentation that follow from the code: ``python docs/reference.py``.

``authors/hooks.md`` comes from ``hookspecs.py`` and ``protocols.py``, ``cli.md`` from the commands
themselves. ``tests/test_docs.py`` fails where a page in the repository is not what this prints.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from mixpanel_fetch import hookspecs, protocols
from mixpanel_fetch.cli.app import app

DOCS = Path(__file__).parent
_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")
_DEFAULT = re.compile(r"(\w: [^=,]+)=")
_NOTE = "<!-- Written by docs/reference.py. Change the code and run it again. -->"

HOOKS_HEAD = f"""{_NOTE}

# Hooks and protocols

What a plugin registers, and what its objects have to do. This page is made from
[`hookspecs.py`](../../mixpanel_fetch/hookspecs.py) and
[`protocols.py`](../../mixpanel_fetch/protocols.py). The [tutorial](tutorial.md) shows how it looks
in a plugin, [evolution.md](evolution.md) what may change.
"""
CLI_HEAD = f"""{_NOTE}

# Commands

Every command and option of `mp`, as `mp COMMAND --help` has them; every command takes `-h` and
`--help`. Plugins may add commands of their own.
"""


def hooks_page() -> str:
    """Return ``authors/hooks.md``."""
    groups: dict[str, list[str]] = {
        "Hooks": [],
        "What hooks register": [],
        "Base classes and helpers": [],
        "Names": [],
    }
    for node, section in _documented(hookspecs):
        groups[_group_of(node)].append(section)
    groups["Protocols"] = [section for _, section in _documented(protocols)]
    parts = [
        f"## {title}\n\n" + "\n".join(sections) for title, sections in groups.items() if sections
    ]
    return HOOKS_HEAD + "\n" + "\n".join(parts)


def _group_of(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef):
        hook = any(ast.unparse(one) == "hookspec" for one in node.decorator_list)
        return "Hooks" if hook else "Base classes and helpers"
    if isinstance(node, ast.ClassDef):
        return "What hooks register" if node.name.endswith("Spec") else "Base classes and helpers"
    return "Names"


def _documented(module: ModuleType) -> Iterator[tuple[ast.stmt, str]]:
    """Yield each public thing of a module that has a docstring, in the order of the source."""
    body = ast.parse(inspect.getsource(module)).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node, _section(node.name, _signature(node), ast.get_docstring(node), "###")
        elif isinstance(node, ast.ClassDef):
            yield node, _class(node)
        elif isinstance(node, ast.Assign) and (text := _text_of(following)):
            yield node, _section(ast.unparse(node.targets[0]), ast.unparse(node), text, "###")


def _class(node: ast.ClassDef) -> str:
    fields = [ast.unparse(one) for one in node.body if isinstance(one, ast.AnnAssign)]
    bases = ", ".join(map(ast.unparse, node.bases))
    head = f"class {node.name}" + (f"({bases})" if bases else "") + (":" if fields else "")
    code = "\n".join([head, *(f"    {field}" for field in fields)])
    sections = [_section(node.name, code, ast.get_docstring(node), "###")]
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
            name = f"{node.name}.{one.name}"
            sections.append(_section(name, _signature(one), ast.get_docstring(one), "####"))
    return "\n".join(sections)


def _signature(node: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    # ast writes a default behind an annotation without the blanks that PEP 8 asks for.
    arguments = _DEFAULT.sub(r"\1 = ", ast.unparse(node.args))
    return f"def {node.name}({arguments}){returns}"


def _text_of(node: ast.stmt | None) -> str | None:
    """Return the text that stands alone behind an assignment: its docstring."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return inspect.cleandoc(str(node.value.value))
    return None


def _section(name: str, code: str, text: str | None, mark: str) -> str:
    return f"{mark} `{name}`\n\n```python\n{code}\n```\n\n{_markdown(text or '')}\n"


def _markdown(text: str) -> str:
    return _ROLE.sub(r"`\1`", text).replace("``", "`").strip()


def cli_page() -> str:
    """Return ``cli.md``."""
    parts = [_command(path, command) for path, command in commands(app, ("mp",))]
    return CLI_HEAD + "\n" + "\n".join(parts)


def commands(
    group: click.Group, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command below ``group`` with its path, a group before what is in it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def _command(path: tuple[str, ...], command: click.Command) -> str:
    title = " ".join(path)
    lines = ["##" + "#" * (len(path) > 2) + f" `{title}`", "", "```text", usage(path, command)]
    lines += ["```", "", _markdown(inspect.cleandoc(command.help or ""))]
    options = [one for one in command.params if isinstance(one, click.Option)]
    if options:
        lines += ["", "| option | what | default |", "|---|---|---|"]
        lines += [_row(option) for option in options]
    return "\n".join(lines) + "\n"


def usage(path: tuple[str, ...], command: click.Command) -> str:
    """Return how a command is written."""
    words = list(path)
    if any(isinstance(one, click.Option) for one in command.params):
        words.append("[OPTIONS]")
    for one in command.params:
        if isinstance(one, click.Argument):
            shown = metavar(one) or (one.name or "").upper()
            words.append(shown if one.required else f"[{shown}]")
    if isinstance(command, click.Group):
        words.append("[COMMAND]" if command.invoke_without_command else "COMMAND")
    return " ".join(words)


def metavar(param: click.Parameter) -> str:
    """Return what stands for a parameter's value; empty for a flag."""
    if isinstance(param, click.Option) and (param.is_flag or param.count):
        return ""
    if param.metavar:
        return param.metavar
    if isinstance(param.type, click.Choice):
        return "|".join(map(str, param.type.choices))
    if isinstance(param, click.Argument):
        return (param.name or "").upper()
    return {"integer range": "N", "float range": "N"}.get(
        param.type.name, param.type.name.upper().replace(" ", "_")
    )


def _row(option: click.Option) -> str:
    written = ", ".join(f"`{one}`" for one in option.opts)
    if option.secondary_opts:
        written += " / " + ", ".join(f"`{one}`" for one in option.secondary_opts)
    value = metavar(option)
    written += f" `{value}`" if value else ""
    cells = (written, " ".join(_about(option)), _default(option))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _about(option: click.Option) -> Iterator[str]:
    text = option.help or ""
    if text:
        yield text
    if not option.count:
        yield from _range(option.type)
    if option.multiple and "epeat" not in text:
        yield "Repeatable."


def _range(kind: Any) -> Iterator[str]:
    if not isinstance(kind, (click.IntRange, click.FloatRange)):
        return
    low, high = kind.min, kind.max
    if low is not None and high is not None:
        yield f"From {low} to {high}."
    elif low is not None:
        yield f"At least {low}."


def _default(option: click.Option) -> str:
    plain = option.default is None or callable(option.default) or option.multiple
    if plain or metavar(option) == "" or "Sentinel" in type(option.default).__name__:
        return ""
    return f"`{option.default}`"


PAGES: dict[str, Callable[[], str]] = {"authors/hooks.md": hooks_page, "cli.md": cli_page}


def main() -> None:
    """Write every page that differs."""
    for name, page in PAGES.items():
        text, file = page(), DOCS / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{file} is written\n")


if __name__ == "__main__":
    main()
