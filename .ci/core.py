"""The packages that sessionstore needs wherever it is installed: ``[project] dependencies`` of pyproject.toml.

    python .ci/core.py oldest      one line per package, the oldest version that is allowed: a constraints file for pip
    python .ci/core.py installed   the versions in this environment, in one line

Not here: what is run with them (run).
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lower_bounds() -> dict[str, str]:
    """Return the lower bound of each package. Raises: SystemExit: a package has none."""
    bounds = {}
    for requirement in tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]:
        found = re.match(r"([\w.-]+)\s*>=\s*([\w.]+)", requirement)
        if found is None:
            raise SystemExit(f"pyproject.toml: {requirement!r} has no lower bound")
        bounds[found[1]] = found[2]
    return bounds


def main(arguments: list[str]) -> None:
    """Print what the first argument names."""
    if arguments == ["oldest"]:
        print("\n".join(f"{name}=={version}" for name, version in lower_bounds().items()))
    elif arguments == ["installed"]:
        print(", ".join(f"{name} {metadata.version(name)}" for name in lower_bounds()))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
