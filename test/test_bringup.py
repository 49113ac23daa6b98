"""The cell's table: which nodes for which machine, and clear words where that cannot be."""

from __future__ import annotations

import pytest

from sketch_cell.bringup import CellSettings, cell_nodes, parameter_file
from sketch_cell.errors import InputError


def names(cell, tmp_path):
    return {spec.name for spec in cell_nodes(cell, work_folder=tmp_path)}


def test_the_twin_brings_its_own_machine_and_both_ends_share_its_port(tmp_path):
    specs = {spec.name: spec for spec in cell_nodes(CellSettings(photo="a.jpg"), work_folder=tmp_path)}
    assert specs["twin"].parameters["port"] == specs["stepper_driver"].parameters["port"]
    assert specs["tip_tracker"].parameters["use_sim_time"] is True


def test_without_a_camera_loop_nobody_looks_for_the_tip(tmp_path):
    assert "tip_tracker" not in names(CellSettings(loop="open"), tmp_path)
    assert "tip_tracker" in names(CellSettings(loop="closed"), tmp_path)


def test_sweets_are_planned_only_when_asked_for(tmp_path):
    assert "mosaic_planner" not in names(CellSettings(), tmp_path)
    assert "mosaic_planner" in names(CellSettings(mosaic=True), tmp_path)


def test_a_real_board_has_no_twin_and_no_simulated_time(tmp_path):
    port = tmp_path / "ttyUSB0"
    port.touch()
    cell = CellSettings(machine="grbl", port=str(port), camera="/dev/video0")
    specs = {spec.name: spec for spec in cell_nodes(cell, work_folder=tmp_path)}
    assert "twin" not in specs
    assert specs["camera_source"].parameters["device"] == "/dev/video0"
    assert specs["stepper_driver"].parameters["use_sim_time"] is False


def test_a_missing_port_is_an_error_never_a_simulation(tmp_path):
    with pytest.raises(InputError, match="/dev/nowhere does not exist"):
        names(CellSettings(machine="grbl", port="/dev/nowhere"), tmp_path)
    with pytest.raises(InputError, match="needs a port"):
        names(CellSettings(machine="grbl"), tmp_path)


def test_a_missing_parameters_file_is_named():
    with pytest.raises(InputError, match=r"nothing\.yaml does not exist"):
        parameter_file(CellSettings(params_file="nothing.yaml"))
