"""Fail unless what is installed are the oldest versions that setup.cfg allows.

Run by ``tox -e oldest``, whose installer picks them; so no lower bound is written down twice.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, metadata, version

from packaging.requirements import Requirement
from packaging.version import Version


def main() -> int:
    """Print what is there, and what is too new; return the exit code."""
    newer = []
    described = metadata("mixpanel-fetch")
    extras = ["", *(described.get_all("Provides-Extra") or ())]
    for one in map(Requirement, described.get_all("Requires-Dist") or ()):
        wanted_by = [e for e in extras if one.marker is None or one.marker.evaluate({"extra": e})]
        try:
            there = version(one.name)
        except PackageNotFoundError:
            if "" in wanted_by:
                raise
            continue  # of an extra that is not installed, or for another Python
        (bound,) = (spec.version for spec in one.specifier if spec.operator == ">=")
        print(f"{one.name} {there}")
        if wanted_by and Version(there) != Version(bound):
            newer.append(f"{one.name} is {there}, not {bound}, which setup.cfg allows")
    if newer:
        print(*newer, sep="\n", file=sys.stderr)
    return bool(newer)


if __name__ == "__main__":
    sys.exit(main())
