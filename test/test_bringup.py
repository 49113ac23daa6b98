"""The cell's table: which nodes for which machine, and clear words where that cannot be."""

from __future__ import annotations

import pytest

from sketch_cell.bringup import (
    GROUPS,
    CellSettings,
    board_settings,
    cell_nodes,
    cell_view_url,
    executable,
    managed,
    parameter_file,
)
from sketch_cell.errors import InputError


def specs(cell, tmp_path):
    return {spec.name: spec for spec in cell_nodes(cell, work_folder=tmp_path)}


def install(tmp_path, monkeypatch, *packages):
    """A prefix in which each package has an executable of its own name."""
    for package in packages:
        path = tmp_path / "prefix" / "lib" / package / package
        path.parent.mkdir(parents=True)
        path.touch(mode=0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))


@pytest.fixture
def real(tmp_path):
    """A real machine with its camera, as far as the file system can tell."""
    port, camera = tmp_path / "ttyUSB0", tmp_path / "video0"
    port.touch()
    camera.touch()
    return {"machine": "grbl", "port": str(port), "camera": str(camera)}


def test_the_twin_brings_its_own_machine_and_both_ends_share_its_port(tmp_path):
    found = specs(CellSettings(photo="a.jpg"), tmp_path)
    assert found["twin"].parameters["port"] == found["stepper_driver"].parameters["port"]
    assert found["tip_tracker"].parameters["use_sim_time"] is True


def test_without_a_camera_loop_nobody_looks_for_the_tip(tmp_path):
    assert "tip_tracker" not in specs(CellSettings(loop="open"), tmp_path)
    assert "tip_tracker" in specs(CellSettings(loop="closed"), tmp_path)


def test_sweets_are_planned_only_when_asked_for(tmp_path):
    assert "mosaic_planner" not in specs(CellSettings(), tmp_path)
    assert "mosaic_planner" in specs(CellSettings(mosaic=True), tmp_path)


def test_a_queue_takes_the_place_of_the_picture_source(tmp_path):
    found = specs(CellSettings(queue=True, photo="photos"), tmp_path)
    assert found["job_queue"].parameters["photo"] == "photos"
    assert "picture_source" not in found


def test_a_real_board_has_no_twin_and_no_simulated_time(tmp_path, real):
    found = specs(CellSettings(**real), tmp_path)
    assert "twin" not in found
    assert found["camera_source"].parameters["device"] == real["camera"]
    assert found["stepper_driver"].parameters["use_sim_time"] is False


def test_a_camera_that_others_run_is_not_opened(tmp_path, real):
    assert "camera_source" not in specs(CellSettings(**{**real, "camera": "topic"}), tmp_path)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"port": "/dev/nowhere"}, "/dev/nowhere does not exist"),
        ({"port": ""}, "needs a port"),
        ({"camera": "/dev/video99"}, "/dev/video99 does not exist"),
        ({"camera": "twin"}, "needs a camera"),
        ({"machine": "twin"}, "has its own camera"),
        ({"machine": "twin", "camera": "twin", "use_sim_time": False}, "keeps a time of its own"),
        ({"record": f"{__file__}/bag"}, "cannot be written into"),
        ({"namespace": "two words"}, "namespace two words"),
        ({"mount_frame": "table", "mount_pose": "1 2 3"}, "six numbers"),
        ({"mount_frame": "table", "mount_pose": "1 2 3 4 5 nan"}, "six numbers"),
        ({"rviz": True}, "rviz2 is not installed"),
    ],
)
def test_what_cannot_work_is_said_in_one_sentence(tmp_path, real, monkeypatch, wrong, words):
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    with pytest.raises(InputError, match=words) as told:
        specs(CellSettings(**{**real, **wrong}), tmp_path)
    assert "\n" not in str(told.value)


def test_each_host_needs_only_its_own_hardware(tmp_path, real):
    """Of a cell spread over hosts, that of the operator has neither board nor camera."""
    elsewhere = CellSettings(**{**real, "port": "", "camera": "twin"})
    for group, first in (("planning", "picture_source"), ("display", None)):
        found = cell_nodes(elsewhere, work_folder=tmp_path, groups=[group])
        assert {spec.group for spec in found} <= {group}
        assert first is None or found[0].name == first
    for group, words in (("machine", "needs a port"), ("vision", "needs a camera")):
        with pytest.raises(InputError, match=words):
            cell_nodes(elsewhere, work_folder=tmp_path, groups=[group])


@pytest.mark.parametrize("content", ["a: [", "/**: {ros__parameters: {x: 1}\n  y: :", "just words", "- 1"])
def test_a_parameters_file_that_is_none_is_named(tmp_path, content):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match=r"mine\.yaml") as told:
        parameter_file(CellSettings(params_file=str(file)))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("content", "travel_m"),
    [
        ("/**: {ros__parameters: {board: {travel_per_turn_m: 4e-2, junction_deviation_m: 1e-05}}}", 0.04),
        ("/**: {ros__parameters: {board.travel_per_turn_m: 0.04}}", 0.04),
        (
            "/**/view: {ros__parameters: {port: 9191}}\n---\n"
            "/**: {ros__parameters: {board: {travel_per_turn_m: 0.04}}}",
            0.04,
        ),
        ("/**/stepper_driver: {ros__parameters: {port: x}}\n---\n", 0.036),
    ],
)
def test_parameters_are_read_as_ros_reads_them(tmp_path, content, travel_m):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    assert parameter_file(CellSettings(params_file=str(file))) == file
    assert board_settings(file).travel_per_turn_m == travel_m


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("/**: {ros__parameters: {travel_per_turn_m: 0.04}}", "must give travel_per_turn_m once"),
        (
            "/**/stepper_driver: {ros__parameters: {board: {travel_per_turn_m: 0.04}}}",
            "must give travel_per_turn_m once",
        ),
        ("/**: {ros__parameters: {board: {travel_per_tern_m: 0.04}}}", "travel_per_tern_m"),
        ("/**: {ros__parameters: {board: {travel_per_turn_m: far}}}", "travel_per_turn_m is 'far'"),
    ],
)
def test_a_gearing_that_not_all_nodes_would_have_is_refused(tmp_path, content, words):
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match=words) as told:
        cell_nodes(CellSettings(params_file=str(file)), work_folder=tmp_path)
    assert "mine.yaml" in str(told.value)


def test_the_live_views_address_is_that_of_the_parameters(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("/**/view: {ros__parameters: {port: 9191, address: 192.0.2.5}}")
    assert cell_view_url(CellSettings()).startswith("http://localhost:9090/")
    assert cell_view_url(CellSettings(params_file=str(file))).startswith("http://192.0.2.5:9191/")


def test_a_missing_parameters_file_is_named():
    with pytest.raises(InputError, match=r"nothing\.yaml does not exist"):
        parameter_file(CellSettings(params_file="nothing.yaml"))


def test_cells_side_by_side_share_no_frame_and_no_clock(tmp_path):
    left, right = (
        specs(CellSettings(namespace=name, mosaic=True, photo="a.jpg"), tmp_path)
        for name in ("left", "right")
    )
    for name, frame in (("tip_tracker", "screen"), ("line_planner", "screen"), ("mosaic_planner", "board")):
        assert left[name].parameters["frame"] == f"left/{frame}"
        assert right[name].parameters["frame"] == f"right/{frame}"
    assert left["twin"].parameters["frame_prefix"] == "left/"
    assert all(spec.remaps["/clock"] == "clock" for spec in left.values())


def test_a_namespace_may_be_written_with_slashes():
    assert CellSettings(namespace="/hall/left/").frame_prefix == "hall/left/"


def test_managed_nodes_wait_to_be_configured(tmp_path):
    for spec in managed(cell_nodes(CellSettings(), work_folder=tmp_path)):
        assert (spec.parameters.get("autostart") is False) == spec.lifecycle


def test_the_tracker_is_activated_before_the_driver_so_that_no_drawing_begins_without_it(tmp_path):
    managed_names = [spec.name for spec in cell_nodes(CellSettings(), work_folder=tmp_path) if spec.lifecycle]
    assert managed_names == ["tip_tracker", "stepper_driver"]
    assert GROUPS.index("vision") < GROUPS.index("machine")


def test_the_robot_model_and_rviz_come_with_their_packages(tmp_path, monkeypatch):
    assert "robot_state_publisher" not in specs(CellSettings(), tmp_path)
    install(tmp_path, monkeypatch, "robot_state_publisher", "rviz2")
    assert executable("rviz2", "rviz2")
    found = specs(CellSettings(rviz=True, namespace="left", mount_frame="table"), tmp_path)
    assert 'link="table"' in found["robot_state_publisher"].parameters["robot_description"]
    assert found["rviz2"].arguments[-2:] == ("-f", "left/screen")
    assert not found["rviz2"].required
