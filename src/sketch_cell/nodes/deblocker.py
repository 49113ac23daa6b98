"""Node deblocker: `picture/compressed` (or a raw stream on `picture/raw`) repaired into `picture/image`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from sketch_cell.errors import InputError
from sketch_cell.picture.deblock import RUNTIMES, Deblocker, stream_runtime
from sketch_cell.picture.repair import repair_file_bytes
from sketch_cell.ros.diagnostics import Diagnostics
from sketch_cell.ros.hear import hear
from sketch_cell.ros.messages import (
    compressed_image_from_bytes,
    image_bytes,
    image_from_bytes,
    rgb_from,
)
from sketch_cell.ros.newest import NewestFirst
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED, SENSOR, STREAM
from sketch_cell.settings import Settings, setting


@dataclass(frozen=True)
class DeblockerSettings(Settings):
    """How the deblocker runs."""

    runtime: str = setting(
        "auto",
        "what runs the network; auto is int8 for a stream, where the processor is quick at it",
        choices=RUNTIMES,
        read_only=True,
    )
    strength: float = setting(
        1.0, "from 0, the JPEG as it is, to 1, fully repaired", minimum=0.0, maximum=1.0
    )
    max_megapixels: float = setting(
        64.0, "larger pictures are refused before they are decoded", unit="MP", minimum=0.0001, maximum=1000.0
    )
    stream: bool = setting(
        False,
        "serve a camera: one quick look at the newest frame, instead of about two seconds for each",
        read_only=True,
    )


class DeblockerNode(Node):
    """Repairs each picture that arrives, with the network that its file's header asks for."""

    def __init__(self, **options: Any) -> None:
        super().__init__("deblocker", **options)
        self._settings = declare_settings(self, DeblockerSettings, on_change=self._change)
        runtime, network, looks = self._settings.runtime, "auto", None
        if self._settings.stream:
            runtime, network, looks = stream_runtime() if runtime == "auto" else runtime, "fast", 1
        self._deblocker = Deblocker(runtime, network, looks)
        self._repaired = 0
        self._publisher = self.create_publisher(
            Image, "picture/image", STREAM if self._settings.stream else LATCHED
        )
        self._diagnostics = Diagnostics(self)
        self._queues: list[NewestFirst] = []
        for kind, topic, work in (
            (CompressedImage, "picture/compressed", self._on_file),
            (Image, "picture/raw", self._on_image),
        ):
            if self._settings.stream:
                # A camera's frame gives way to a newer one; a photo waits for the one before it.
                self._queues.append(NewestFirst(work))
                self.create_subscription(kind, topic, self._queues[-1].offer, SENSOR, raw=True)
            else:
                hear(self, kind, topic, work)

    def _change(self, settings: DeblockerSettings) -> None:
        self._settings = settings

    def _on_file(self, data: bytes) -> None:
        file, _ = compressed_image_from_bytes(data)
        begin_s = time.monotonic()
        try:
            image = repair_file_bytes(
                file.array.tobytes(),
                self._deblocker,
                self._settings.max_megapixels,
                self._settings.strength,
                resaved=not self._settings.stream,
            )
        except InputError as error:
            self.get_logger().error(f"{file.frame}: {error}")
            self._diagnostics.set(DiagnosticStatus.ERROR, str(error))
            return
        self._publisher.publish(image_bytes(image, file.stamp_ns, file.frame))
        self._done(begin_s)

    def _on_image(self, data: bytes) -> None:
        begin_s = time.monotonic()
        try:
            picture, encoding = image_from_bytes(data)
            image = self._deblocker.repair(rgb_from(picture.array, encoding), None, self._settings.strength)
        except ValueError as error:
            self.get_logger().error(str(error))
            self._diagnostics.set(DiagnosticStatus.ERROR, str(error))
            return
        self._publisher.publish(image_bytes(image, picture.stamp_ns, picture.frame))
        self._done(begin_s)

    def _done(self, begin_s: float) -> None:
        took_s = time.monotonic() - begin_s
        self._repaired += 1
        self.get_logger().debug(f"repaired in {took_s:.2f} s")
        figures = {
            "repaired": str(self._repaired),
            "dropped": str(sum(queue.dropped for queue in self._queues)),
        }
        self._diagnostics.set(DiagnosticStatus.OK, f"repaired in {took_s:.2f} s", figures)

    def destroy_node(self) -> None:
        """Let the frame in hand end before what it needs is gone."""
        for queue in self._queues:
            queue.close()
        super().destroy_node()


def main() -> None:
    """Run the node."""
    run(DeblockerNode)


if __name__ == "__main__":
    main()
