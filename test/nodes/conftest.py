"""A ROS context per test, and a way to spin several nodes of one process until something is reached."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node


class Spinner:
    """Spins nodes of this process together; every node added is destroyed at the end."""

    def __init__(self) -> None:
        self._executor: Executor = SingleThreadedExecutor()

    def use(self, executor: Executor) -> None:
        """Spin with another executor; before any node is added."""
        self._executor = executor

    def add(self, node: Node) -> Node:
        self._executor.add_node(node)
        return node

    def until(self, reached: Callable[[], object], seconds: float = 90.0) -> None:
        end = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < end, "it was not reached in time"
            self._executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        for node in self._executor.get_nodes():
            self._executor.remove_node(node)
            node.destroy_node()


@pytest.fixture
def spinner() -> Iterator[Spinner]:
    rclpy.init()
    spinner = Spinner()
    yield spinner
    spinner.close()
    rclpy.try_shutdown()
