"""What the doctor asks of ROS: the packages can be imported, and two nodes hear each other."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
import time
import uuid
from typing import Any

from sketch_cell.doctor.finding import Finding, missing, ok, warning

MESSAGES = (
    "std_msgs",
    "std_srvs",
    "geometry_msgs",
    "sensor_msgs",
    "nav_msgs",
    "trajectory_msgs",
    "visualization_msgs",
    "diagnostic_msgs",
    "lifecycle_msgs",
    "rosgraph_msgs",
)
# Major version of rclpy -> distribution.
DISTRIBUTIONS = {3: "Humble", 4: "Iron", 7: "Jazzy", 9: "Kilted"}
OLDEST_RCLPY = 7
HEARD_WITHIN_S = 10.0
LOOK_AROUND_S = 1.0
TOPIC = "sketch_cell_doctor"
HIGHEST_DOMAIN = 101  # above it Linux may give a node's ports to other programs
OWN_NODES = {"stepper_driver", "drawing_controller", "twin", "tip_tracker"}
INSTALL = (
    "With ROS 2 installed: source /opt/ros/<distro>/setup.bash. "
    "Without it, on Linux x86-64: make demo sets up all of it."
)
TWO = (
    "A ROS 2 of this shell (ROS_DISTRO is set) and that of .venv get in each other's way: open a shell that does not "
    "source setup.bash, or use `make`, which leaves it out."
)


def _two_at_once() -> bool:
    """Whether a virtual environment runs in a shell that has sourced a native ROS 2."""
    return sys.prefix != sys.base_prefix and "ROS_DISTRO" in os.environ


def packages() -> list[Finding]:
    """rclpy and every message package imported once; which distribution they are of."""
    for name in ("rclpy", *(f"{package}.{_kind(package)}" for package in MESSAGES)):
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken installation raises anything
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            return [
                missing("ros", f"{name} cannot be imported: {reason}", TWO if _two_at_once() else INSTALL)
            ]
    version = importlib.metadata.version("rclpy")
    name = distribution(version)
    said = f"{name}, rclpy {version}, all {len(MESSAGES)} message packages"
    if int(version.split(".")[0]) < OLDEST_RCLPY:
        return [warning("ros", said, "Jazzy is the oldest distribution that is tested: prefer it.")]
    return [ok("ros", said)]


def _kind(package: str) -> str:
    return "srv" if package.endswith("_srvs") else "msg"


def distribution(version: str) -> str:
    """The distribution's name by its environment, else by rclpy's version."""
    named = os.environ.get("ROS_DISTRO", "")
    return named.capitalize() or DISTRIBUTIONS.get(
        int(version.split(".")[0]), "a distribution not known here"
    )


def discovery() -> list[Finding]:
    """Two nodes of two DDS participants must find and hear each other as the nodes of a cell will."""
    wrong = _environment_trouble(os.environ.get("ROS_DOMAIN_ID", ""))
    if wrong:
        return [wrong]
    # Imported for its environment: nodes of a cell ask for the same range of discovery.
    from sketch_cell.ros import process  # noqa: F401

    heard_s, others = _talk()
    where = f"domain {os.environ.get('ROS_DOMAIN_ID') or 0}, {_range_in_words()}"
    if heard_s is None:
        return [
            missing(
                "discovery",
                f"two nodes did not hear each other within {HEARD_WITHIN_S:g} s ({where})",
                "Let the firewall pass UDP on the loopback interface, unset ROS_AUTOMATIC_DISCOVERY_RANGE, "
                "ROS_STATIC_PEERS, FASTRTPS_DEFAULT_PROFILES_FILE and RMW_IMPLEMENTATION, and look again.",
            )
        ]
    findings = [ok("discovery", f"two nodes heard each other after {heard_s:.1f} s ({where})")]
    cell = sorted(others & OWN_NODES)
    if cell:
        findings.append(
            warning(
                "discovery",
                f"a cell runs in this domain already ({', '.join(cell)})",
                "End it, or give yours a --namespace or another ROS_DOMAIN_ID.",
            )
        )
    return findings


def _environment_trouble(domain: str) -> Finding | None:
    """What would keep any two nodes apart."""
    if domain and not (domain.isdigit() and int(domain) <= HIGHEST_DOMAIN):
        return missing(
            "discovery",
            f"ROS_DOMAIN_ID is {domain!r}, but must be from 0 to {HIGHEST_DOMAIN}",
            "export ROS_DOMAIN_ID=0, or unset it.",
        )
    if os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").upper() == "OFF":
        return missing(
            "discovery",
            "ROS_AUTOMATIC_DISCOVERY_RANGE is OFF: no node finds another",
            "export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, or unset it.",
        )
    return None


def _range_in_words() -> str:
    chosen = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET").upper()
    return (
        "this computer only"
        if chosen == "LOCALHOST"
        else f"{chosen}: other computers hear and command this cell"
    )


def _talk() -> tuple[float | None, set[str]]:
    """Seconds until one node heard the other, None where it never did; and the names of all other nodes."""
    import rclpy
    from rclpy.context import Context
    from rclpy.executors import SingleThreadedExecutor
    from std_msgs.msg import String

    contexts = [Context(), Context()]  # a DDS participant each, as in two processes
    word = uuid.uuid4().hex
    heard: list[str] = []
    for context in contexts:
        rclpy.init(context=context)
    nodes = [
        rclpy.create_node(f"doctor_{word[:8]}_{i}", context=context) for i, context in enumerate(contexts)
    ]
    executors = [SingleThreadedExecutor(context=context) for context in contexts]
    try:
        for node, executor in zip(nodes, executors, strict=True):
            executor.add_node(node)
        publisher = nodes[0].create_publisher(String, TOPIC, 10)
        nodes[1].create_subscription(String, TOPIC, lambda message: heard.append(message.data), 10)
        begun_s = time.monotonic()
        while word not in heard and time.monotonic() < begun_s + HEARD_WITHIN_S:
            publisher.publish(String(data=word))
            executors[1].spin_once(timeout_sec=0.05)
        heard_s = time.monotonic() - begun_s if word in heard else None
        return heard_s, _others(nodes[1], executors[1])
    finally:
        for node, context in zip(nodes, contexts, strict=True):
            node.destroy_node()
            rclpy.shutdown(context=context)


def _others(node: Any, executor: Any) -> set[str]:
    """Names of the nodes of other processes that show within a second."""
    end_s = time.monotonic() + LOOK_AROUND_S
    while time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.1)
    return {name for name in node.get_node_names() if not name.startswith("doctor_")}
