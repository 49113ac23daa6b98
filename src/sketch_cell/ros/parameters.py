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


def declare_settings(
    node: Node, kind: type[S], *, prefix: str = "", on_change: Callable[[S], None] | None = None
) -> S:
    """Declare one parameter per field of `kind` and return the settings as launched.

    `on_change` is called with new settings whenever some were changed; without it all of them are fixed
    while the node runs. `prefix` (such as "camera.") keeps two classes apart on one node. Raises
    `SettingError` for an illegal value, which stops the node's start with a sentence that names it.
    """
    values = {}
    for item in dataclasses.fields(kind):
        name = prefix + item.name
        node.declare_parameter(name, item.default, descriptor(item, fixed=on_change is None))
        values[item.name] = node.get_parameter(name).value
    settings = kind(**values)
    if on_change is not None:
        _watch(node, settings, on_change, prefix)
    return settings


def fixed_text(node: Node, name: str, default: str, description: str) -> str:
    """Declare one text that stays as launched, and return it; `SettingError` where it is no text."""
    about = ParameterDescriptor(description=description, dynamic_typing=True, read_only=True)
    value = node.declare_parameter(name, default, about).value
    if not isinstance(value, str):
        raise SettingError(f"{name} is {value!r}, but must be a text: put it in quotes.")
    return value


def _watch(node: Node, settings: S, on_change: Callable[[S], None], prefix: str) -> None:
    """Check every change as a whole; one that the settings class refuses is refused with its sentence."""
    current = settings
    fields = {prefix + item.name: item.name for item in dataclasses.fields(settings)}

    def changed(parameters: list[Parameter]) -> S:
        return dataclasses.replace(
            current, **{fields[p.name]: p.value for p in parameters if p.name in fields}
        )

    def check(parameters: list[Parameter]) -> SetParametersResult:
        try:
            changed(parameters)
        except SettingError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def applied(parameters: list[Parameter]) -> None:
        nonlocal current
        if any(parameter.name in fields for parameter in parameters):
            current = changed(parameters)
            on_change(current)

    node.add_on_set_parameters_callback(check)
    node.add_post_set_parameters_callback(applied)


def descriptor(item: dataclasses.Field[Any], *, fixed: bool = False) -> ParameterDescriptor:
    """The ROS description of one settings field, shown by `ros2 param describe`."""
    about = item.metadata
    unit = f" [{about['unit']}]" if about["unit"] else ""
    result = ParameterDescriptor(
        description=about["description"] + unit,
        # A whole number must do for a float; the settings class checks types itself.
        dynamic_typing=True,
        read_only=fixed or about["read_only"],
    )
    if about["choices"]:
        result.additional_constraints = "one of " + ", ".join(about["choices"])
    low = -OPEN_END if about["minimum"] is None else about["minimum"]
    high = OPEN_END if about["maximum"] is None else about["maximum"]
    if type(item.default) is float:
        result.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    elif type(item.default) is int:
        result.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
    return result
