"""The files of a new distribution, from the templates in this package."""

from __future__ import annotations

import re
from importlib.resources import files

from mixpanel_fetch._version import __version__

_MARK = re.compile(r"@([A-Z]+)@")
# Templates have names without dots at the start and an ending of their own: no tool takes them for
# files of this project.
_COMMON = {
    ".github/workflows/test.yml": "common/workflow.yml",
    ".gitignore": "common/gitignore",
    "LICENSE": "common/LICENSE",
    "pyproject.toml": "common/pyproject.toml",
    "setup.cfg": "common/setup.cfg",
}


def rendered(kind: str, name: str) -> dict[str, str]:
    """Return the text of each file of the new ``kind`` ``name``, by its path."""
    identifier = name.replace("-", "_")
    module = f"mixpanel_fetch_{identifier}"
    values = {
        "CLASS": "".join(part.capitalize() for part in name.split("-")),
        "DISTRIBUTION": f"mixpanel-fetch-{name}",
        "IDENTIFIER": identifier,
        "KIND": kind,
        "MODULE": module,
        "NAME": name,
        "VERSION": __version__,
    }
    own = {
        f"{module}.py": f"{kind}/module.py",
        "README.md": f"{kind}/README.md",
        f"tests/test_{identifier}.py": f"{kind}/test.py",
    }
    templates = files("mixpanel_fetch.cli") / "templates"
    texts = {}
    for path, template in sorted({**_COMMON, **own}.items()):
        text = templates.joinpath(f"{template}.tmpl").read_text(encoding="utf-8")
        texts[path] = _MARK.sub(lambda mark: values[mark[1]], text)
    return texts
