"""Runs one module of this package, as its docstring says."""

from __future__ import annotations

import importlib
import json
import sys

if __name__ == "__main__":
    name, arguments = sys.argv[1:]
    module = importlib.import_module(f"benchmarks.children.{name}")
    print(json.dumps(module.run(**json.loads(arguments))))
