"""Node recorder: writes every topic of the cell to a bag that `ros2 bag`, Foxglove and `sketch-cell replay` open."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.validate_topic_name import validate_topic_name

from sketch_cell.errors import SettingError
from sketch_cell.ros.bag_writer import BagWriter
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run, uninterrupted
from sketch_cell.ros.recorder import Recorder
from sketch_cell.settings import Settings, setting

LOOK_S, TAKE_S = 0.1, 0.02
# Topics that a namespace does not move.
COMMON = {"/clock", "/diagnostics", "/rosout", "/parameter_events", "/tf", "/tf_static"}
# Made only while somebody looks, larger than what it is made of, and made again by a replay: only by name.
FOR_EYES = "tip/debug"


@dataclass(frozen=True)
class RecorderSettings(Settings):
    """What is recorded, and where to."""

    folder: str = setting("", "folder to make for the recording; none is made without a name", read_only=True)
    topics: str = setting(
        "", "topics to record, with spaces between; empty: all of the cell but tip/debug", read_only=True
    )


class RecorderNode(Node):
    """Records the topics of its namespace, as bytes, until it ends."""

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        settings = declare_settings(self, RecorderSettings)
        names = settings.topics.split()
        for name in names:
            try:
                validate_topic_name(name)
            except InvalidTopicNameException as error:
                raise SettingError(
                    f"topics has {name}, which is no topic's name: use letters, digits, _ and /."
                ) from error
        self._only = {self.resolve_topic_name(name) for name in names}
        self._own = self.get_namespace().rstrip("/")
        self.bag: BagWriter | None = None
        if not settings.folder:
            return
        self.bag = BagWriter(Path(settings.folder), self._own)
        self._recorder = Recorder(self, self.bag, self._wanted)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        # A record that Ctrl-C cuts in two hides all that is written after it.
        whole = uninterrupted()
        self.create_timer(LOOK_S, whole(self._recorder.look), clock=steady)
        self.create_timer(TAKE_S, whole(self._recorder.take), clock=steady)

    def _wanted(self, name: str) -> bool:
        if self._only:
            return name in self._only
        if name == self.resolve_topic_name(FOR_EYES):
            return False
        return name in COMMON or name.startswith(f"{self._own}/")

    def destroy_node(self) -> None:
        """Write what is still there and finish the file."""
        bag, self.bag = self.bag, None
        if bag is not None:
            self._recorder.take()
            bag.close()
            size_mb = bag.bytes / 1e6
            summary = f"{bag.messages} messages of {bag.topics} topics, {size_mb:.1f} MB: see {bag.folder}/"
            print(summary, file=sys.stderr, flush=True)
        super().destroy_node()


def run_recorder(folder: Path, topics: Iterable[str], namespace: str) -> None:
    """Record until Ctrl-C; without `topics`, all of the cell in this namespace."""
    settings = {"folder": str(folder), "topics": " ".join(topics)}
    overrides = [Parameter(name, value=value) for name, value in settings.items()]
    run(lambda: RecorderNode(namespace=namespace, parameter_overrides=overrides), by_events=False)


def main() -> None:
    """Run the node."""
    run(RecorderNode, by_events=False)


if __name__ == "__main__":
    main()
