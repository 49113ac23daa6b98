"""Settings classes as ROS parameters: declared with range, unit and meaning; checked when they are set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from sketch_cell.errors import SettingError
from sketch_cell.settings import Settings

S = TypeVar("S", bound=Settings)

# ROS wants both ends of a range; these stand in for an end that a setting leaves open.
OPEN_END = 1e9


def declare_settings(node: Node, kind: type[S], *, prefix: str = "") -> S:
    """Declare one parameter per field of `kind` and return the settings as launched.

    `prefix` (such as "camera.") keeps two classes apart on one node. Raises `SettingError` for an
    illegal value, which stops the node's start with a sentence that names it.
    """
    values = {}
    for item in dataclasses.fields(kind):
        name = prefix + item.name
        # Dynamic typing lets `gain:=2` set a float; the settings class checks the type itself.
        if not node.has_parameter(name):
            node.declare_parameter(name, item.default, descriptor(item))
        values[item.name] = node.get_parameter(name).value
    return kind(**values)


def on_settings_changed(node: Node, settings: S, apply: Callable[[S], None], *, prefix: str = "") -> None:
    """Call `apply` with new settings whenever parameters declared from them were changed.

    A change that the settings class refuses is refused with its sentence, and nothing is applied.
    """
    current = settings
    fields = {prefix + item.name: item for item in dataclasses.fields(settings)}

    def changed(parameters: list[Parameter]) -> S:
        changes = {fields[p.name].name: p.value for p in parameters if p.name in fields}
        return dataclasses.replace(current, **changes)

    def check(parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name in fields and fields[parameter.name].metadata["read_only"]:
                return SetParametersResult(
                    successful=False,
                    reason=f"{parameter.name} is fixed while the node runs: restart it with the new value.",
                )
        try:
            changed(parameters)
        except SettingError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def applied(parameters: list[Parameter]) -> None:
        nonlocal current
        if any(parameter.name in fields for parameter in parameters):
            current = changed(parameters)
            apply(current)

    node.add_on_set_parameters_callback(check)
    node.add_post_set_parameters_callback(applied)


def descriptor(item: dataclasses.Field[Any]) -> ParameterDescriptor:
    """The ROS description of one settings field, shown by `ros2 param describe`."""
    about = item.metadata
    unit = f" [{about['unit']}]" if about["unit"] else ""
    result = ParameterDescriptor(description=about["description"] + unit, dynamic_typing=True)
    if about["choices"]:
        result.additional_constraints = "one of " + ", ".join(about["choices"])
    low = -OPEN_END if about["minimum"] is None else about["minimum"]
    high = OPEN_END if about["maximum"] is None else about["maximum"]
    if type(item.default) is float:
        result.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif type(item.default) is int:
        result.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return result
