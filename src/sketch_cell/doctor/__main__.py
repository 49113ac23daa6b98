"""One check in a process of its own: python -m sketch_cell.doctor MODULE:FUNCTION [ARGUMENT ...]."""

from __future__ import annotations

import importlib
import sys

from sketch_cell.doctor.examine import as_json


def main() -> None:
    """Print the check's findings as one line of JSON."""
    module, _, name = sys.argv[1].partition(":")
    findings = getattr(importlib.import_module(module), name)(*sys.argv[2:])
    print(as_json(findings), flush=True)


if __name__ == "__main__":
    main()
