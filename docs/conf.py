"""How Sphinx builds the documentation: ``tox -e docs``. Nothing is asked of the network."""

from __future__ import annotations

from typing import Any

import mixpanel_fetch

project = "mixpanel-fetch"
author = "The mixpanel-fetch developers"
release = mixpanel_fetch.__version__
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True

# Headings have the anchors that GitHub gives them: a link works in both places.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

smartquotes_action = "qe"  # no dashes: an option begins with two hyphens

# The docstrings say what there is to say; some of them write code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True

# What signatures name of other projects has its page elsewhere, and no inventory is fetched; what
# they name of our own insides has none.
nitpick_ignore_regex = [
    (r"py:.*", r"(collections(\.abc)?|concurrent\.futures|datetime|os|pathlib)\..*"),
    (r"py:.*", r"(threading|typing)\..*"),
    (r"py:.*", r"(click|_?duckdb|marshmallow|pluggy)\..*"),
    (r"py:class", r"mixpanel_fetch\.(assembly\.\w+|client\.EngageConnection)"),
    (r"py:class", "Event"),  # threading's, where it is imported for type checkers only
    (r"py:class", "Executor"),  # as a signature of our own names that of concurrent.futures
    (r"py:class", r"mixpanel_fetch\.defaults\.processes\.T"),  # a type variable
    (r"py:mod", r"mixpanel_fetch\.\w+"),
]

html_theme = "furo"
html_title = f"mixpanel-fetch {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]


def find_public_name(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Resolve what a docstring names by its own module, or bare: it is documented elsewhere.

    A field that has no entry of its own leads to its class.
    """
    words = node.get("reftarget", "").split(".")
    if node.get("refdomain") != "py" or not (words[0] == "mixpanel_fetch" or len(words) == 1):
        return None
    node["refspecific"] = True  # wherever the name ends in these words
    python = env.get_domain("py")
    names = [
        ".".join(words[-2:]),
        words[-1],
        *(word for word in words[-2:-1] if word[:1].isupper()),
    ]
    for name in names:
        args = (env, node["refdoc"], app.builder, "obj", name, node, contnode)
        if (found := python.resolve_xref(*args)) is not None:
            return found
    return None


def write_factories(*args: Any) -> tuple[str | None, str | None]:
    """Write `...` for a default that a dataclass makes anew: `<factory>` is no Python."""
    signature, returns = args[-2:]
    return signature and signature.replace("<factory>", "..."), returns


def setup(app: Any) -> None:
    """Connect what stands above. Called by Sphinx."""
    app.connect("missing-reference", find_public_name)
    app.connect("autodoc-process-signature", write_factories)
