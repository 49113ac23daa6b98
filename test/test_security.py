"""config/security/policy.xml gives each node what it has, and no more; each node starts in its own enclave."""

from __future__ import annotations

import importlib.util
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import rclpy

from sketch_cell.bringup import CellSettings, cell_nodes, share_folder

DOC = Path(__file__).resolve().parents[1] / "doc"
POLICY = share_folder() / "config" / "security" / "policy.xml"
ENCLAVES = {enclave.get("path"): enclave for enclave in ElementTree.parse(POLICY).getroot().find("enclaves")}


def allowed(path: str, kind: str, word: str) -> set[str]:
    return {
        item.text for group in ENCLAVES[path].iter(f"{kind}s") if group.get(word) == "ALLOW" for item in group
    }


def test_the_policy_is_what_the_nodes_say():
    sys.path.insert(0, str(DOC))
    spec = importlib.util.spec_from_file_location("make_policy", DOC / "make_policy.py")
    make_policy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_policy)
    rclpy.init()
    try:
        assert POLICY.read_text() == make_policy.policy(), "run python doc/make_policy.py"
    finally:
        rclpy.try_shutdown()


def test_only_the_controller_and_the_operator_may_move_the_knobs():
    movers = {path for path in ENCLAVES if allowed(path, "topic", "publish") & {"/knobs/trajectory", "*"}}
    assert movers == {"/drawing_controller", "/"}


def test_planning_nodes_cannot_ask_the_driver_for_anything():
    for path in ("/picture_source", "/deblocker", "/line_planner", "/mosaic_planner", "/tip_tracker"):
        assert not allowed(path, "service", "request")


@pytest.mark.parametrize("namespace", ["", "hall/left"])
def test_every_node_starts_in_an_enclave_of_its_own(tmp_path, namespace):
    specs = cell_nodes(CellSettings(mosaic=True, queue=True, namespace=namespace), work_folder=tmp_path)
    paths = [spec.enclave(namespace)[1] for spec in specs]
    assert len(set(paths)) == len(paths)
    if not namespace:
        assert set(paths) <= ENCLAVES.keys()
    else:
        assert all(path.startswith("/hall/left/") for path in paths)
