"""All places that state the version agree."""

from __future__ import annotations

import re
from pathlib import Path

import sketch_cell

ROOT = Path(__file__).resolve().parents[1]
PLACES = {
    "package.xml": r"<version>(.+)</version>",
    "setup.py": r'version="(.+)"',
    "CITATION.cff": r"(?m)^version: (.+)$",
    "CHANGELOG.md": r"(?m)^## (\S+)",
}


def test_the_version_is_the_same_everywhere():
    stated = {}
    for name, pattern in PLACES.items():
        found = re.search(pattern, (ROOT / name).read_text(encoding="utf-8"))
        assert found, f"{name} states no version"
        stated[name] = found.group(1)
    assert set(stated.values()) == {sketch_cell.__version__}, stated
