"""Every key of every file in config/ is a parameter that its node declares, with a legal value."""

from __future__ import annotations

import importlib
import inspect

import pytest
import rclpy
import yaml
from rclpy.node import Node

from sketch_cell.bringup import CellSettings, cell_nodes, share_folder

FILES = sorted((share_folder() / "config").glob("*.yaml"))


def node_class(name: str) -> type[Node]:
    module = importlib.import_module(f"sketch_cell.nodes.{name}")
    classes = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if issubclass(member, Node) and member.__module__ == module.__name__
    ]
    assert len(classes) == 1, f"{name} should hold one node"
    return classes[0]


@pytest.fixture
def ros():
    rclpy.init(domain_id=0)
    yield
    rclpy.try_shutdown()


def test_there_are_files_to_check():
    assert {"twin.yaml"} <= {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_key_is_a_declared_parameter(path, ros, tmp_path):
    shared: set[str] = set()
    declared: set[str] = set()
    for pattern, content in yaml.safe_load(path.read_text()).items():
        keys = _flat(content["ros__parameters"])
        if pattern == "/**":
            shared |= set(keys)
            continue
        name = pattern.removeprefix("/**/")
        node = node_class(name)()
        try:
            for key in keys:
                assert node.has_parameter(key), f"{path.name}: {name} has no parameter {key}"
            declared |= {key for key in shared if node.has_parameter(key)}
        finally:
            node.destroy_node()
    assert shared <= declared, f"{path.name}: no node has {shared - declared}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_sets_what_the_table_sets(path, tmp_path):
    """Where both give a parameter, the launch argument wins: a line in the file would do nothing."""
    content = yaml.safe_load(path.read_text())
    for spec in cell_nodes(CellSettings(), work_folder=tmp_path):
        for pattern in ("/**", f"/**/{spec.name}"):
            given = content.get(pattern, {}).get("ros__parameters", {})
            assert not set(spec.parameters) & set(_flat(given)), f"{path.name}: {pattern}"


def test_every_node_of_the_twin_cell_can_be_imported(tmp_path):
    for spec in cell_nodes(CellSettings(), work_folder=tmp_path):
        assert callable(importlib.import_module(f"sketch_cell.nodes.{spec.name}").main)


def _flat(tree: dict, prefix: str = "") -> list[str]:
    keys = []
    for key, value in tree.items():
        keys += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return keys
