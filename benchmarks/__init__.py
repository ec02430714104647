"""Benchmarks of mixpanel-fetch: ``python -m benchmarks`` from the project's root."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# What is measured is the installed package, not the sources that happen to lie beside this folder.
sys.path.sort(key=lambda entry: Path(entry or ".").resolve() == ROOT)
