"""The toy's URDF for one cell: its frames under the cell's prefix, its root on a mount frame where there is one."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

from sketch_cell.errors import InputError
from sketch_cell.machine.knobs import KnobSettings

ROOT = "etch_a_sketch"


def robot_description(
    urdf: str,
    *,
    prefix: str = "",
    mount_frame: str = "",
    mount_pose: str = "",
    travel_per_turn_m: float = KnobSettings().travel_per_turn_m,
) -> str:
    """The URDF text with `prefix` before every link, standing at mount_pose in `mount_frame` where one is given.

    `travel_per_turn_m` is how far the stylus goes for a whole turn of a knob.

    mount_pose is "x y z roll pitch yaw" [m, rad]; raises `InputError` where it is not. The `frame_prefix` of
    robot_state_publisher would not do: it also renames the mount frame, which belongs to somebody else.
    """
    robot = ElementTree.fromstring(urdf)
    for link in robot.findall("link"):
        link.set("name", prefix + link.get("name", ""))
    for end in [*robot.iter("parent"), *robot.iter("child")]:
        end.set("link", prefix + end.get("link", ""))
    for mimic in robot.iter("mimic"):
        mimic.set("multiplier", repr(travel_per_turn_m / (2 * math.pi)))
    if mount_frame:
        robot.append(ElementTree.Element("link", name=mount_frame))
        robot.append(_mount(mount_frame, prefix + ROOT, _six_numbers(mount_pose)))
    return ElementTree.tostring(robot, encoding="unicode")


def _mount(frame: str, root: str, pose: list[str]) -> ElementTree.Element:
    joint = ElementTree.Element("joint", name="mount", type="fixed")
    ElementTree.SubElement(joint, "parent", link=frame)
    ElementTree.SubElement(joint, "child", link=root)
    ElementTree.SubElement(joint, "origin", xyz=" ".join(pose[:3]), rpy=" ".join(pose[3:]))
    return joint


def _six_numbers(text: str) -> list[str]:
    words = text.split()
    try:
        finite = all(math.isfinite(float(word)) for word in words)
    except ValueError:
        finite = False
    if len(words) != 6 or not finite:
        raise InputError(f"mount_pose is '{text}', but must be six numbers: x y z [m] roll pitch yaw [rad].")
    return words
