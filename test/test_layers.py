"""The rule of dependencies (doc/architecture.md), read from the imports of every file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "sketch_cell"
SHARED = {"errors", "settings", "files", "packages"}
CORE = {
    "picture": {"picture"},
    "drawing": {"drawing"},
    "mosaic": {"mosaic"},
    "machine": {"machine"},
    "vision": {"vision"},
    "control": {"control", "machine", "vision"},
    "twin": {"twin", "machine"},
}
ROS_PACKAGES = {"rclpy", "launch", "launch_ros", "cv_bridge", "ament_index_python", "rcl_interfaces"}
TORCH_FILES = {
    f"picture/{name}.py"
    for name in (
        "deblock_net",
        "runtime_torch",
        "train_deblock",
        "train_export",
        "train_loss",
        "train_optimiser",
    )
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            # `from sketch_cell import report` names a module just as well
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_ros(module: str) -> bool:
    top = module.split(".")[0]
    return top in ROS_PACKAGES or top.endswith(("_msgs", "_srvs")) or top == "builtin_interfaces"


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_only_what_its_layer_may(path):
    relative = path.relative_to(SOURCE)
    folder = relative.parts[0] if len(relative.parts) > 1 else ""
    for module in imports(path):
        if folder not in ("ros", "nodes"):
            assert not is_ros(module), f"{relative} imports {module}: only ros/ and nodes/ know ROS"
        if module.split(".")[0] == "torch":
            assert str(relative) in TORCH_FILES, f"{relative} imports torch"
        if folder in CORE and module.startswith("sketch_cell."):
            part = module.split(".")[1]
            assert part in CORE[folder] | SHARED, f"{relative} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_opens_with_one_sentence(path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert text, path
    assert text.split("\n\n")[0].rstrip().endswith((".", "?")), path
