"""Takes every message of a cell as the bytes that came and hands them to a bag; no message is ever unpacked."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription

from sketch_cell.ros.bag import Topic
from sketch_cell.ros.bag_writer import BagWriter

# What may wait between two looks: enough for 400 Hz and a pause of half a second.
DEPTH = 200
FOREVER = {"sec": 9_223_372_036, "nsec": 854_775_807}  # RMW_DURATION_INFINITE
FIELD_TYPE = re.compile(r"\b([a-z]\w*)/([A-Z]\w*)")
RULE = "=" * 80


class NotByTheExecutor(CallbackGroup):
    """Subscriptions that the executor leaves alone: waking up for each message would cost half a core.

    `waiting` empties them instead, many messages at a time; each keeps the time when it came.
    """

    def can_execute(self, entity: Any) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing was begun."""


class Recorder:
    """Subscribes to each wanted topic as soon as somebody publishes it, and writes what comes to a bag."""

    def __init__(self, node: Node, bag: BagWriter, wanted: Callable[[str], bool]) -> None:
        self._node, self._bag, self._wanted = node, bag, wanted
        self._taken: dict[str, tuple[Subscription, int]] = {}
        self._left: set[str] = set()

    def look(self) -> None:
        """Find topics that are new. Those whose type is not installed here are left out, with a warning."""
        for name, kinds in self._node.get_topic_names_and_types():
            if name in self._taken or name in self._left or not self._wanted(name):
                continue
            offers = self._node.get_publishers_info_by_topic(name)
            if not offers:
                continue
            kind = message_type(kinds[0])
            if kind is None:
                self._left.add(name)
                self._node.get_logger().warning(f"{name} is not recorded: {kinds[0]} is not installed here.")
                continue
            self._subscribe(name, kinds[0], kind, offers)

    def _subscribe(self, name: str, kind_name: str, kind: Any, offers: list[Any]) -> None:
        qualities = tuple(quality_in_words(offer.qos_profile) for offer in offers)
        topic = Topic(name, kind_name, definition(kind_name), qualities, _type_hash(offers[0]))
        subscription = quiet_subscription(self._node, kind, name, request_for(offers))
        self._taken[name] = subscription, self._bag.add_topic(topic)

    def take(self) -> None:
        """Write all that has come."""
        for subscription, number in self._taken.values():
            for data, received_ns, sent_ns in waiting(subscription):
                self._bag.write(number, data, received_ns, sent_ns)


def waiting(subscription: Subscription) -> Iterator[tuple[bytes, int, int]]:
    """The messages that wait at a raw subscription: bytes, and when they were received and sent [ns since 1970]."""
    with subscription.handle:
        while (taken := subscription.handle.take_message(subscription.msg_type, True)) is not None:
            data, about = taken
            yield data, about["received_timestamp"], about["source_timestamp"]


def quiet_subscription(node: Node, kind: Any, name: str, quality: QoSProfile) -> Subscription:
    """A subscription whose messages wait, as bytes, until somebody takes them (see `waiting`)."""
    return node.create_subscription(kind, name, _never, quality, raw=True, callback_group=NotByTheExecutor())


def _never(_: bytes) -> None:
    """No executor calls this: see `NotByTheExecutor`."""


def message_type(name: str) -> Any:
    """The message class of a type such as sensor_msgs/msg/Image, None where it is not installed."""
    package, _, rest = name.partition("/")
    folder, _, kind = rest.partition("/")
    if not (package and folder and kind):
        return None  # other recorders' own types: foxglove.CompressedImage, std_msgs/String of ROS 1
    try:
        return getattr(importlib.import_module(f"{package}.{folder}"), kind, None)
    except ImportError:
        return None


def request_for(offers: list[Any]) -> QoSProfile:
    """The best quality of service that all publishers of a topic offer, as `ros2 bag record` asks for it."""
    reliable = all(o.qos_profile.reliability is ReliabilityPolicy.RELIABLE for o in offers)
    latched = all(o.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL for o in offers)
    return QoSProfile(
        depth=DEPTH,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def quality_in_words(profile: QoSProfile) -> dict[str, Any]:
    """A quality of service as rosbag2 writes it since Jazzy."""
    return {
        "history": profile.history.name.lower(),
        "depth": profile.depth,
        "reliability": profile.reliability.name.lower(),
        "durability": profile.durability.name.lower(),
        "deadline": _span(profile.deadline.nanoseconds),
        "lifespan": _span(profile.lifespan.nanoseconds),
        "liveliness": profile.liveliness.name.lower(),
        "liveliness_lease_duration": _span(profile.liveliness_lease_duration.nanoseconds),
        "avoid_ros_namespace_conventions": bool(profile.avoid_ros_namespace_conventions),
    }


def _span(nanoseconds: int) -> dict[str, int]:
    if nanoseconds >= FOREVER["sec"] * 1_000_000_000:
        return dict(FOREVER)
    return {"sec": nanoseconds // 1_000_000_000, "nsec": nanoseconds % 1_000_000_000}


def _type_hash(offer: Any) -> str:
    return str(getattr(offer, "topic_type_hash", ""))


def definition(name: str) -> str:
    """The text of a message type and of all types in it, as ros2msg; empty where the files are not installed."""
    seen: dict[str, str] = {}
    _collect(name, seen)
    first, *others = seen.items()
    parts = [first[1]] if first[1] else []
    for full, text in others:
        package, _, kind = full.split("/")
        parts.append(f"{RULE}\nMSG: {package}/{kind}\n{text}")
    return "\n".join(parts)


def _collect(name: str, seen: dict[str, str]) -> None:
    """The texts of `name` and, after it, of what it is made of."""
    kind = message_type(name)
    if name in seen or kind is None:
        return
    seen[name] = _file_text(name)
    for field in kind.get_fields_and_field_types().values():
        for package, part in FIELD_TYPE.findall(field):
            _collect(f"{package}/msg/{part}", seen)


def _file_text(name: str) -> str:
    package, folder, kind = name.split("/")
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    for prefix in filter(None, prefixes):
        path = Path(prefix) / "share" / package / folder / f"{kind}.msg"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return ""
