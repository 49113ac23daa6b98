"""Publishes a bag's messages again with their timing, each topic under a namespace in which no machine listens."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import rclpy
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from rclpy.task import Future
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger

from sketch_cell.errors import InputError
from sketch_cell.ros.bag import Bag, Recorded, Topic
from sketch_cell.ros.recorder import message_type, quiet_subscription, waiting

# What nodes say to their own tools; those of the replay say it themselves.
NEVER = {"rosout", "parameter_events"}
CLOCK = "clock"
CLOCK_PERIOD_NS = 10_000_000
LATCHED_DEPTH, DEPTH = 10, 200
# A node may hear messages of two topics in either order. The state of the driver decides what others mean, and
# without a line none is drawn: time stands still before and after them, until all have been heard.
DECISIVE = {"stepper_driver/state", "line/path"}
SETTLE_S = 0.1


class Player:
    """Publishes each topic of `bag` as /<namespace>/<topic>; a recorded namespace is replaced by the new one.

    `leave_out` names (relative) topics that somebody else publishes, `heard_as` those that go out under another name;
    `only`, where given, names those that are played.
    """

    def __init__(
        self, bag: Bag, namespace: str, leave_out: set[str], only: set[str], heard_as: dict[str, str]
    ) -> None:
        # Signals are the caller's: it has processes to stop before this context may go.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("player", namespace=namespace)
        self._bag, self._heard_as = bag, heard_as
        self.missing: list[str] = []
        self._publishers: dict[str, Publisher] = {}
        for topic in bag.topics.values():
            name = self.relative(topic.name)
            if name not in NEVER | leave_out and (not only or name in only | {CLOCK}):
                self._add(name, topic)
        self._own_clock = None if CLOCK in self._publishers else self._node.create_publisher(Clock, CLOCK, 10)
        self._clock_ns = 0
        self._subscriptions: dict[str, Subscription] = {}
        self._answers: list[Future] = []
        self.said: dict[str, list[bytes]] = defaultdict(list)
        self._draw = self._node.create_client(Trigger, "drawing_controller/draw")

    def _add(self, name: str, topic: Topic) -> None:
        kind = message_type(topic.kind)
        if kind is None:
            self.missing.append(f"{topic.name} ({topic.kind})")
        else:
            called = self._heard_as.get(name, name)
            self._publishers[name] = self._node.create_publisher(kind, called, quality_of(topic))

    def relative(self, name: str) -> str:
        """A recorded topic's name without the namespace of the recorded cell."""
        return name.removeprefix(f"{self._bag.namespace}/").removeprefix("/")

    def require(self, names: Iterable[str], who: str) -> None:
        """Raise `InputError` where the bag lacks a topic that `who` cannot do without."""
        for name in names:
            if name not in self._publishers:
                raise InputError(
                    f"the recording has no {name}, which {who} needs: record all topics of a cell."
                )

    def heard(self, names: Iterable[str]) -> bool:
        """Whether somebody listens to every one of these topics."""
        return all(self._publishers[name].get_subscription_count() for name in names)

    @property
    def namespace(self) -> str:
        """Where it plays, such as /replay."""
        return str(self._node.get_namespace())

    def has_node(self, name: str) -> bool:
        """Whether such a node runs in the namespace of the replay."""
        return (name, self.namespace) in self._node.get_node_names_and_namespaces()

    def listen(self, names: Iterable[str]) -> None:
        """Keep in `said` the messages that the nodes of the replay publish on these topics of the bag."""
        for topic in self._bag.topics.values():
            name = self.relative(topic.name)
            if name in names:
                kind, quality = message_type(topic.kind), quality_of(topic)
                self._subscriptions[name] = quiet_subscription(self._node, kind, name, quality)

    def draw(self) -> None:
        """Tell the controller of the replay to draw, as a person did in the recording."""
        self._answers.append(self._draw.call_async(Trigger.Request()))

    def refusals(self) -> list[str]:
        """Why the controller did not draw, if it refused."""
        results = [answer.result() for answer in self._answers if answer.done()]
        return [result.message for result in results if not result.success]

    def spin(self, seconds: float) -> None:
        """Take in what came, and what comes within this wall time."""
        rclpy.spin_once(self._node, timeout_sec=max(seconds, 0.0))
        for name, subscription in self._subscriptions.items():
            self.said[name] += [data for data, *_ in waiting(subscription)]

    def play(self, rate: float, meanwhile: Callable[[float], None]) -> Iterator[Recorded]:
        """Publish everything in time, `rate` times as fast, and yield each message just before it goes out.

        `meanwhile` is called with the wall time [s] until then, and should return after it.
        """
        begin_s = time.monotonic()
        for message in self._bag:
            due_s = begin_s + (message.received_ns - self._bag.first_ns) * 1e-9 / rate
            meanwhile(due_s - time.monotonic())
            self._tick(message.received_ns)
            yield message
            name = self.relative(message.topic)
            publisher = self._publishers.get(name)
            if publisher is None:
                continue
            settle_s = SETTLE_S if name in DECISIVE else 0.0
            meanwhile(settle_s)
            publisher.publish(message.data)
            meanwhile(settle_s)
            begin_s += 2 * settle_s

    def _tick(self, received_ns: int) -> None:
        """A real machine has no /clock: here it is the time when each message came."""
        if self._own_clock is None or received_ns < self._clock_ns + CLOCK_PERIOD_NS:
            return
        self._clock_ns = received_ns
        message: Any = Clock()
        message.clock.sec, message.clock.nanosec = divmod(received_ns, 10**9)
        self._own_clock.publish(serialize_message(message))

    def close(self) -> None:
        """Leave."""
        self._node.destroy_node()
        rclpy.try_shutdown()


def quality_of(topic: Topic) -> QoSProfile:
    """What to offer: latched or reliable where every recorded publisher was. A bag does not tell the depth."""
    said = topic.qualities
    latched = bool(said) and all(_is(q["durability"], DurabilityPolicy.TRANSIENT_LOCAL) for q in said)
    reliable = all(_is(q["reliability"], ReliabilityPolicy.RELIABLE) for q in said)
    return QoSProfile(
        depth=LATCHED_DEPTH if latched else DEPTH,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
    )


def _is(said: str | int, policy: Any) -> bool:
    """Whether a bag's word, or its number in bags older than Jazzy's, means this policy."""
    return said == policy.value or str(said).lower() == policy.name.lower()
