"""The toy's URDF: one tree, joints that follow joint_states, frames that move with the cell."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from sketch_cell.bringup import CellSettings, cell_nodes, share_folder
from sketch_cell.machine.knobs import KnobSettings
from sketch_cell.robot import robot_description
from sketch_cell.ros.drawing_markers import GLASS_M

URDF = (share_folder() / "config" / "etch_a_sketch.urdf").read_text()


def joints(urdf):
    """Child link -> (joint, parent link)."""
    return {
        joint.find("child").get("link"): (joint, joint.find("parent").get("link"))
        for joint in ElementTree.fromstring(urdf).findall("joint")
    }


def links(urdf):
    return [link.get("name") for link in ElementTree.fromstring(urdf).findall("link")]


def roots(urdf):
    return set(links(urdf)) - joints(urdf).keys()


def test_every_joint_joins_two_links_of_one_tree():
    assert len(set(links(URDF))) == len(links(URDF))
    assert {parent for _, parent in joints(URDF).values()} | joints(URDF).keys() == set(links(URDF))
    assert roots(URDF) == {"etch_a_sketch"}


def test_the_knobs_turn_and_the_stylus_follows_them():
    found = joints(URDF)
    for axis, stylus in (("knob_x", "carriage"), ("knob_y", "stylus")):
        assert found[f"{axis}_link"][0].get("type") == "continuous"
        mimic = found[stylus][0].find("mimic")
        assert mimic.get("joint") == axis
        assert float(mimic.get("multiplier")) == pytest.approx(
            KnobSettings().travel_per_turn_m / (2 * math.pi)
        )


def test_another_gearing_moves_the_stylus_by_it(tmp_path, monkeypatch):
    """One key of the parameters file reaches driver, controller, tracker and the model that RViz shows."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    model = tmp_path / "lib" / "robot_state_publisher" / "robot_state_publisher"
    model.parent.mkdir(parents=True)
    model.touch(mode=0o755)
    mine = tmp_path / "mine.yaml"
    mine.write_text("/**: {ros__parameters: {board: {travel_per_turn_m: 0.04}}}")
    cell = CellSettings(params_file=str(mine))
    (spec,) = [
        spec for spec in cell_nodes(cell, work_folder=tmp_path) if spec.name == "robot_state_publisher"
    ]
    urdf = ElementTree.fromstring(str(spec.parameters["robot_description"]))
    multipliers = [float(mimic.get("multiplier")) for mimic in urdf.iter("mimic")]
    assert multipliers == pytest.approx([0.04 / (2 * math.pi)] * 2)


def test_the_stylus_starts_at_the_origin_of_the_screen_and_the_glass_covers_it():
    assert joints(URDF)["carriage"][1] == "screen"
    glass = next(link for link in ElementTree.fromstring(URDF).iter("link") if link.get("name") == "glass")
    middle = np.array(glass.find("visual/origin").get("xyz").split(), float)
    size = np.array(glass.find("visual/geometry/box").get("size").split(), float)
    np.testing.assert_allclose((middle - size / 2)[:2], 0)
    np.testing.assert_allclose((middle + size / 2)[:2], GLASS_M)
    assert middle[2] + size[2] / 2 < 0, "the surface lies behind the lines"


def test_the_cameras_frame_looks_at_the_glass():
    origin = joints(URDF)["camera"][0].find("origin")
    assert float(origin.get("rpy").split()[0]) == pytest.approx(math.pi)
    assert float(origin.get("xyz").split()[2]) > 0


def test_a_cell_has_frames_of_its_own_and_hangs_on_its_mount():
    urdf = robot_description(URDF, prefix="left/", mount_frame="table", mount_pose="1 2 3 0 0 0.5")
    assert roots(urdf) == {"table"}
    assert set(links(urdf)) == {f"left/{name}" for name in links(URDF)} | {"table"}
    joint, parent = joints(urdf)["left/etch_a_sketch"]
    assert parent == "table"
    assert joint.find("origin").get("xyz") == "1 2 3"
    # the joints are those of joint_states, which the namespace tells apart
    assert {
        joint.find("mimic").get("joint")
        for joint, _ in joints(urdf).values()
        if joint.find("mimic") is not None
    } == {
        "knob_x",
        "knob_y",
    }


def test_alone_nothing_changes():
    assert links(robot_description(URDF)) == links(URDF)
