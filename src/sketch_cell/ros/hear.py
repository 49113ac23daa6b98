"""Hearing any publisher of a topic: one that keeps its last message for who joins late, and one that does not."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node

from sketch_cell.ros.qos import LATCHED, SENSOR, STREAM

WAYS = (LATCHED, STREAM, SENSOR)
REMEMBERED = 64  # messages: more than can be under way on one subscription and not yet on another


def hear(node: Node, kind: Any, topic: str, callback: Callable[[bytes], None]) -> None:
    """Call back with the bytes of each message on `topic`, whatever quality of service its publisher offers.

    A subscription that asks for latched messages hears no ordinary publisher, one that does not misses what was said
    before it, and one that asks for reliable ones hears no camera. So there are three, and each message counts once.
    """
    # What came -> how often each way. The events executor of rclpy 7.1 fails on callbacks that ask when it was sent.
    counts: OrderedDict[int, list[int]] = OrderedDict()

    def once(way: int, data: bytes) -> None:
        key = hash(data)
        came = counts.setdefault(key, [0] * len(WAYS))
        counts.move_to_end(key)
        is_new = came[way] == max(came)  # no other way has brought it more often: it has been said once more
        came[way] += 1
        while len(counts) > REMEMBERED:
            counts.popitem(last=False)
        if is_new:
            callback(data)

    for way, quality in enumerate(WAYS):
        node.create_subscription(kind, topic, partial(once, way), quality, raw=True)
