"""What ``mp plugins check`` asks of the kit: it goes to pytest's process in a file."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mixpanel_fetch.config import Destination
from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.plugins import PluginHost, Registered, one_line_of
from mixpanel_fetch.secret import names_a_secret

Reader = Callable[[str, str], "Sequence[Any] | None"]
"""Called with the destination's URI and a table's name: the rows, None where there are none."""

TEMPORARY = "{tmp}"
"""In a destination: a new empty folder, another one for each test."""

_SHORTEST_SECRET = 4  # a shorter text is in other texts by chance


@dataclass(frozen=True)
class KitRequest:
    """Which plugin is checked, and how. ``report`` is the file that verdicts go to."""

    kind: str
    name: str
    argument: str | None = None
    files: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict, repr=False)
    destination: str = field(default="", repr=False)
    rows: str | None = None
    changes: tuple[str, ...] = ()
    report: str = ""

    def save(self, file: Path) -> None:
        """Write this to ``file``. It may hold secrets: the folder must be its owner's alone."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> KitRequest:
        """Read what :meth:`save` wrote."""
        given = json.loads(file.read_text(encoding="utf-8"))
        return cls(**{**given, "files": tuple(given["files"]), "changes": tuple(given["changes"])})

    def registered(self) -> Registered[Any]:
        """Return the plugin. Raises PluginError."""
        host = PluginHost(self.files)
        found: Registered[Any] = getattr(host, self.kind)(self.name)
        return found

    def reader(self) -> Reader | None:
        """Return what reads rows back, None where nobody said. Raises ConfigError."""
        return None if self.rows is None else load_reader(self.rows)

    @property
    def written(self) -> str:
        """The plugin as it is written after ``--transform``."""
        return self.name if self.argument is None else f"{self.name}:{self.argument}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What the destination and the options hold that nothing may show."""
        if not self.destination:
            return ()
        given = {**Destination.parse(self.destination).options, **self.options}
        found = [value for name, value in given.items() if names_a_secret(name)]
        with suppress(ValueError):  # brackets that are no address, say
            found.append(urlsplit(self.destination).password or "")
        return tuple(one for one in found if len(one) >= _SHORTEST_SECRET)


def load_reader(text: str) -> Reader:
    """Return the function of ``MODULE:FUNCTION`` or ``FILE.py:FUNCTION``. Raises ConfigError.

    A module is looked for in the current folder, too; a file may import what lies beside it.
    """
    place, _, name = text.rpartition(":")
    if not place or not name:
        raise ConfigError(f"write --rows MODULE:FUNCTION or FILE.py:FUNCTION, not {text!r}")
    folder = Path(place).parent if place.endswith(".py") else Path()
    # Last, so that nothing there stands in for an installed package.
    sys.path.append(str(folder.resolve()))
    try:
        module = _file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except Exception as error:
        raise ConfigError(f"cannot load {place} of --rows: {one_line_of(error)}") from error
    function: Any = getattr(module, name, None)
    if not callable(function):
        raise ConfigError(f"--rows: there is no function {name!r} in {place}")
    found: Reader = function
    return found


def _file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"_rows_of_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError("no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with _importing_beside(path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _importing_beside(path: Path) -> Iterator[None]:
    """Let a file import its neighbours, as a script may."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
