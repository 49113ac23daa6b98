"""Node job_queue: the photos of a folder drawn one after another, each once a person has shaken the toy."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from nav_msgs.msg import Path as PathMessage
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from sketch_cell.control.photo_queue import PhotoQueue, QueueInputs, QueueOrder, QueueState
from sketch_cell.errors import InputError, MachineError
from sketch_cell.picture.source import PictureSettings, PictureSource, file_format, load_photo_file
from sketch_cell.ros.diagnostics import Diagnostics, status_message
from sketch_cell.ros.hear import hear
from sketch_cell.ros.messages import compressed_image_bytes, path_from_bytes
from sketch_cell.ros.parameters import declare_settings
from sketch_cell.ros.process import run
from sketch_cell.ros.qos import LATCHED

STEP_S = 0.1


class JobQueueNode(Node):
    """Publishes one photo at a time and asks for its drawing when a person confirms that the toy is clean."""

    def __init__(self, **options: Any) -> None:
        super().__init__("job_queue", **options)
        self._settings = declare_settings(self, PictureSettings)
        self._source = PictureSource(self._settings)
        self._queue = PhotoQueue()
        self._arrived: list[str] = []
        self._published_ns = -1
        self._planned = False
        self._refused, self._job = "", ""
        self._answer: str | None = None
        self._pictures = self.create_publisher(CompressedImage, "picture/compressed", LATCHED)
        self._status = self.create_publisher(DiagnosticStatus, "~/status", LATCHED)
        self._shake = self.create_publisher(Bool, "shake_needed", LATCHED)
        self._diagnostics = Diagnostics(self)
        self._draw = self.create_client(Trigger, "drawing_controller/draw")
        hear(self, PathMessage, "line/path", self._on_line)
        self.create_subscription(DiagnosticStatus, "job/status", self._on_job, LATCHED)
        for name in ("confirm", "skip"):
            self.create_service(Trigger, f"~/{name}", partial(self._on_request, name))
        self.create_timer(self._settings.period_s, self._look)
        self.create_timer(STEP_S, self._step)
        self._tell()

    def _look(self) -> None:
        """Take up to one new photo a period, so that a full folder does not keep the node from answering."""
        try:
            picture = self._source.next_picture()
        except InputError as error:
            self.get_logger().error(str(error))
            return
        if picture is not None:
            self._arrived.append(picture.name)

    def _on_line(self, data: bytes) -> None:
        """A line belongs to the photo whose stamp it carries."""
        self._planned = self._planned or path_from_bytes(data).stamp_ns == self._published_ns

    def _on_job(self, message: DiagnosticStatus) -> None:
        self._job = next((pair.value for pair in message.values if pair.key == "state"), "")

    def _on_request(self, name: str, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._change(getattr(self._queue, name)())
            response.success, response.message = True, "accepted"
        except MachineError as error:
            response.message = str(error)
        return response

    def _step(self) -> None:
        seen = QueueInputs(self._arrived, self._planned, self._refused, self._job, self._answer)
        self._arrived, self._refused, self._answer = [], "", None
        queue, order = self._queue.step(seen)
        self._change(queue)
        if order is QueueOrder.PUBLISH:
            self._publish(queue.photo)
        elif order is QueueOrder.DRAW:
            self._job = ""
            self._draw.call_async(Trigger.Request()).add_done_callback(self._on_answer)

    def _publish(self, photo: str) -> None:
        self._planned = False
        try:
            data = load_photo_file(Path(photo), self._settings.max_megapixels)
        except InputError as error:
            self.get_logger().error(str(error))
            self._refused = str(error)
            return
        self._published_ns = self.get_clock().now().nanoseconds
        self._pictures.publish(
            compressed_image_bytes(data, self._published_ns, photo, file_format(Path(photo)))
        )

    def _on_answer(self, future: Future) -> None:
        result = future.result()
        self._answer = "" if result.success else result.message

    def _change(self, queue: PhotoQueue) -> None:
        before, self._queue = self._queue, queue
        if queue != before:
            self._tell()
        if (queue.state, queue.reason) != (before.state, before.reason):
            self.get_logger().info(self._words())

    def _words(self) -> str:
        queue = self._queue
        words = f"{Path(queue.photo).name}: {queue.state.value}" if queue.photo else queue.state.value
        if queue.state is QueueState.WAITING:
            words += (
                ": shake the toy, then confirm" if queue.shake_needed else ": is the toy clean? Then confirm"
            )
        return f"{words}; {queue.reason}" if queue.reason else words

    def _tell(self) -> None:
        queue = self._queue
        level = DiagnosticStatus.WARN if queue.state is QueueState.STOPPED else DiagnosticStatus.OK
        values = {
            "state": queue.state.value,
            "photo": queue.photo,
            "waiting": str(len(queue.waiting)),
            "drawn": str(queue.drawn),
            "shake_needed": str(queue.shake_needed).lower(),
        }
        self._status.publish(status_message(level, "job_queue", self._words(), values))
        self._shake.publish(Bool(data=queue.shake_needed))
        self._diagnostics.set(level, self._words(), values)


def main() -> None:
    """Run the node."""
    run(JobQueueNode)


if __name__ == "__main__":
    main()
