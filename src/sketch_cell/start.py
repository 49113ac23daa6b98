"""Starts a node by its name; Ctrl-C while its libraries are still being imported ends it without a traceback."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Run the node that this executable is named after (`python -m sketch_cell.start NODE ...` does, too)."""
    name = Path(sys.argv[0]).name
    if name == Path(__file__).name:
        name = sys.argv.pop(1)
    # Nothing is held yet, so nothing must be let go of. From `main` on the node's own way to end counts.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    node = importlib.import_module(f"sketch_cell.nodes.{name}")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    node.main()


if __name__ == "__main__":
    main()
