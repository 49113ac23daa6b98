"""Node view: the drawing, the camera and the deviation, live in a browser; nothing is fetched from the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from sketch_cell.bringup import VIEW_PORT, VIEW_STREAM_PORT, view_url
from sketch_cell.ros.marker_messages import marker_array_from_bytes
from sketch_cell.ros.messages import image_from_bytes, rgb_from
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED, RELIABLE, SENSOR
from sketch_cell.ros.recorder import quiet_subscription, waiting
from sketch_cell.ros.view_entities import (
    CAMERA,
    DRAWING,
    FORGET,
    PHOTO,
    Entity,
    drawing_entities,
    job_entities,
    layout,
    nothing,
    picture_entity,
)
from sketch_cell.ros.view_server import ViewServer
from sketch_cell.settings import Settings, setting


@dataclass(frozen=True)
class ViewSettings(Settings):
    """Where the view is served, and how much it may cost."""

    address: str = setting(
        "127.0.0.1", "where it listens: 0.0.0.0 lets other computers look, too", read_only=True
    )
    port: int = setting(VIEW_PORT, "where a browser finds it", minimum=1, maximum=65535, read_only=True)
    stream_port: int = setting(
        VIEW_STREAM_PORT, "where the page gets its data", minimum=1, maximum=65535, read_only=True
    )
    rate_hz: float = setting(
        2.0, "how often it is brought up to date", unit="Hz", minimum=0.1, maximum=30.0, read_only=True
    )
    memory_mb: int = setting(
        256,
        "what is kept for browsers that join late",
        unit="MB",
        minimum=10,
        maximum=100_000,
        read_only=True,
    )


class ViewNode(Node):
    """Looks a few times a second at what was said since, and shows it; of camera images, the newest alone."""

    def __init__(self, **options: Any) -> None:
        super().__init__("view", **options)
        self._settings = declare_settings(self, ViewSettings)
        self._server: ViewServer | None = None
        self._recording: Any = None
        self._begin_s: float | None = None
        self._shown: dict[str, bool] = {}
        self._camera = quiet_subscription(self, Image, "camera/image_raw", SENSOR)
        self._photo = quiet_subscription(self, Image, "picture/image", LATCHED)
        self._markers = quiet_subscription(self, MarkerArray, "drawn/markers", RELIABLE)
        self._status = quiet_subscription(self, DiagnosticStatus, "job/status", LATCHED)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0 / self._settings.rate_hz, self._show, clock=steady)

    def _serve(self) -> Any:
        settings = self._settings
        self._server = ViewServer(settings.address, settings.port, settings.stream_port, settings.memory_mb)
        import rerun

        recording = rerun.RecordingStream("sketch_cell")
        recording.connect_grpc(self._server.stream_url, default_blueprint=layout())
        self.get_logger().info(
            f"live view: {view_url(settings.address, settings.port, settings.stream_port)}"
        )
        return recording

    def destroy_node(self) -> None:
        """Close the server, too."""
        if self._recording is not None:
            self._recording.disconnect()
        if self._server is not None:
            self._server.close()
        super().destroy_node()

    def _show(self) -> None:
        self._recording = self._recording or self._serve()
        now_s = self.get_clock().now().nanoseconds * 1e-9
        self._begin_s = now_s if self._begin_s is None else self._begin_s
        self._recording.set_time("cell", duration=now_s - self._begin_s)
        for data, *_ in waiting(self._markers):
            self._log(drawing_entities(marker_array_from_bytes(data)))
        for data, *_ in waiting(self._status):
            status = deserialize_message(data, DiagnosticStatus)
            self._log(job_entities(status.message, {pair.key: pair.value for pair in status.values}))
        for path, subscription in ((CAMERA, self._camera), (PHOTO, self._photo)):
            newest = [data for data, *_ in waiting(subscription)][-1:]
            for data in newest:
                try:
                    picture, encoding = image_from_bytes(data)
                    entity = picture_entity(path, rgb_from(picture.array, encoding))
                except ValueError as error:
                    self.get_logger().warning(f"{path}: {error}", throttle_duration_sec=10.0)
                    continue
                self._log([entity])

    def _log(self, entities: list[Entity]) -> None:
        for path, shape, for_all_times in entities:
            if path == FORGET:
                self._forget()
                continue
            self._shown[path] = for_all_times
            self._recording.log(path, shape, static=for_all_times)

    def _forget(self) -> None:
        """A new drawing begins, or somebody else has joined, and all of it comes again."""
        for path in [path for path in self._shown if path.startswith(f"{DRAWING}/")]:
            self._recording.log(path, nothing(), static=self._shown.pop(path))


def main() -> None:
    """Run the node."""
    run(ViewNode, by_events=False)


if __name__ == "__main__":
    main()
