"""doc/nodes.md says what the nodes really have."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import rclpy

DOC = Path(__file__).resolve().parents[1] / "doc"


def test_the_page_is_what_the_nodes_say():
    spec = importlib.util.spec_from_file_location("make_nodes", DOC / "make_nodes.py")
    make_nodes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_nodes)
    rclpy.init()
    try:
        assert (DOC / "nodes.md").read_text() == make_nodes.page(), "run make nodes-page"
    finally:
        rclpy.try_shutdown()
