"""tip_tracker as a real node: images, a lens and joint states in; the tip's place and its covariance out."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, JointState

from sketch_cell.machine.knobs import knobs_from_screen
from sketch_cell.nodes.tip_tracker import NEW_SIZE_IMAGES, TipTrackerNode
from sketch_cell.ros.messages import image_bytes, image_from_bytes
from sketch_cell.ros.qos import LATCHED, RELIABLE, SENSOR
from sketch_cell.twin.camera import Camera, CameraSettings

PERIOD_S = 1 / 30
SPEED_M_PER_S = 0.02


class Scene:
    """A stylus that goes right in a straight line under a camera, as a foreign node would publish it."""

    def __init__(self, spinner, begins_s=0.5, **settings):
        self.begins_s = begins_s
        self.spinner, self.node, self.tips, self.debug = spinner, spinner.add(Node("scene")), [], []
        self.images = self.node.create_publisher(Image, "camera/image_raw", SENSOR)
        self.infos = self.node.create_publisher(CameraInfo, "camera/camera_info", LATCHED)
        self.joints = self.node.create_publisher(JointState, "joint_states", RELIABLE)
        self.node.create_subscription(PoseWithCovarianceStamped, "tip", self.tips.append, SENSOR)
        self.use(**settings)
        self.frame = 0

    def use(self, calibrated=True, **settings):
        """Look with such a camera, which says what it knows of its lens."""
        self.camera = Camera(CameraSettings(dropped_fraction=0.0, **settings), seed=3)
        width, height, matrix, distortion = self.camera.camera_info
        info = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
        if calibrated:
            info.k, info.d = matrix.ravel().tolist(), distortion.tolist()
        self.infos.publish(info)

    def place(self, time_s):
        way_m = SPEED_M_PER_S * np.maximum(np.asarray(time_s) - self.begins_s, 0)
        return np.array([0.03 + way_m, 0.05 + 0 * time_s])

    def play(self, tracker, frames):
        """Publish frames one by one, each once the tracker has taken the one before."""
        for _ in range(frames):
            self.show(tracker)
            self.spinner.until(lambda: tracker.heard[-1:] == [self.frame - 1])

    def show(self, tracker):
        """Publish the next frame, once the tracker has heard of the motion."""
        start_s = self.frame * PERIOD_S
        times = start_s + np.arange(1, 34) * 1e-3
        self.camera.see(self.place(times).T, times)
        stamp = Time(nanoseconds=round(start_s * 1e9))
        velocity = [SPEED_M_PER_S * float(start_s > self.begins_s), 0.0]
        joints = JointState(name=["knob_y", "knob_x"])  # in another order than usual
        joints.position = knobs_from_screen(self.place(start_s))[::-1].tolist()
        joints.velocity = knobs_from_screen(velocity)[::-1].tolist()
        joints.header.stamp = stamp.to_msg()
        self.joints.publish(joints)
        self.spinner.until(lambda: tracker.heard_joints > self.frame)
        self.images.publish(image_bytes(self.camera.image(start_s), stamp.nanoseconds, "camera"))
        self.frame += 1


class Heard(TipTrackerNode):
    """The node, noting what came: the numbers of the frames that it took, and how many joint states."""

    heard_joints = 0

    def __init__(self):
        self.heard = []
        super().__init__()

    def _on_image(self, data):
        super()._on_image(data)
        self.heard.append(round(image_from_bytes(data)[0].stamp_ns * 1e-9 / PERIOD_S))

    def _on_joint_states(self, message):
        super()._on_joint_states(message)
        self.heard_joints += 1


def ready(spinner, scene, node):
    spinner.add(node)
    spinner.until(lambda: not node._waits_for_lens and scene.images.get_subscription_count())
    spinner.until(lambda: scene.joints.get_subscription_count() and scene.node.count_publishers("tip"))
    return node


def test_the_tip_is_published_where_it_is(spinner):
    scene = Scene(spinner)
    tracker = ready(spinner, scene, Heard())
    scene.play(tracker, 75)
    spinner.until(lambda: len(scene.tips) > 20)
    tip = scene.tips[-1]
    stamp_s = tip.header.stamp.sec + tip.header.stamp.nanosec * 1e-9
    place = tip.pose.pose.position
    assert tip.header.frame_id == "screen"
    assert [place.x, place.y] == pytest.approx(scene.place(stamp_s).tolist(), abs=2e-4)
    covariance = np.reshape(tip.pose.covariance, (6, 6))
    assert 1e-6 < np.sqrt(covariance[0, 0]) < 2e-4
    assert not covariance[2:].any()


def test_at_rest_images_wait_and_none_is_lost_when_motion_begins(spinner):
    spinner.use(pytest.importorskip("rclpy.experimental").EventsExecutor())  # what the node runs under
    scene = Scene(spinner, begins_s=60 * PERIOD_S)
    tracker = ready(spinner, scene, Heard())
    scene.play(tracker, 32)  # until a second without motion is known of
    assert tracker._images not in list(tracker.subscriptions)
    for _ in range(28):
        scene.show(tracker)
    assert tracker._images not in list(tracker.subscriptions)
    spinner.until(lambda: len(tracker.heard) > 32)  # a look now and then
    assert not {*range(32, 60)} <= {*tracker.heard}
    for _ in range(10):
        scene.show(tracker)
    spinner.until(lambda: tracker.heard[-1] == 69)
    assert tracker._images in list(tracker.subscriptions)
    assert tracker.heard == sorted({*tracker.heard})
    # DDS keeps five, and the first word of motion comes with frame 61.
    assert {*range(58, 70)} <= {*tracker.heard}


def test_debug_pictures_come_only_while_somebody_listens(spinner):
    scene = Scene(spinner)
    tracker = ready(spinner, scene, Heard())
    published = []
    tracker._debug.publish = published.append
    scene.play(tracker, 3)
    assert not published
    scene.node.create_subscription(Image, "tip/debug", scene.debug.append, SENSOR)
    spinner.until(lambda: tracker._debug.get_subscription_count())
    scene.play(tracker, 3)
    assert len(published) == 3


def test_an_inactive_tracker_is_silent_and_a_cleaned_up_one_calibrates_anew(spinner):
    scene = Scene(spinner)
    tracker = ready(spinner, scene, Heard())
    scene.play(tracker, 12)
    assert tracker._tracker.calibration is not None
    tracker.trigger_deactivate()
    images = tracker._counts["images"]
    scene.play(tracker, 2)
    assert tracker._counts["images"] == images
    tracker.trigger_cleanup()
    assert tracker._tracker is None


def test_a_calibration_file_that_is_missing_stops_configuration(spinner, tmp_path):
    name = str(tmp_path / "none.json")
    overrides = [Parameter("calibration", value=name), Parameter("autostart", value=False)]
    tracker = spinner.add(TipTrackerNode(parameter_overrides=overrides))
    assert tracker.trigger_configure() == TransitionCallbackReturn.FAILURE


def test_joint_states_without_velocities_are_somebody_elses(spinner):
    scene = Scene(spinner)
    tracker = ready(spinner, scene, Heard())
    scene.play(tracker, 20)
    for position, velocity in (([1.0, 1.0], []), ([], []), ([1.0, np.nan], [0.0, 0.0])):
        tracker._on_joint_states(JointState(name=["knob_x", "knob_y"], position=position, velocity=velocity))
    scene.play(tracker, 55)
    spinner.until(lambda: len(scene.tips) > 10)


def test_the_tip_is_found_though_the_camera_is_not_calibrated(spinner):
    scene = Scene(spinner, calibrated=False, focal_length_px=500.0, lens_k1=0.0, lens_k2=0.0)
    tracker = ready(spinner, scene, Heard())
    scene.play(tracker, 60)
    spinner.until(lambda: len(scene.tips) > 10)
    assert tracker._tracker.calibration.reprojection_px == 0.0, "no focal length is known to judge"


def test_a_camera_that_comes_back_in_another_size_is_calibrated_again_with_its_new_lens(spinner):
    scene = Scene(spinner)
    tracker = ready(spinner, scene, Heard())
    scene.play(tracker, 15)
    assert tracker._tracker.calibration is not None
    scene.use(width_px=720, height_px=540, focal_length_px=790.0)
    scene.play(tracker, NEW_SIZE_IMAGES - 1)
    assert tracker._tracker.calibration is not None, "a few images may be somebody's mistake"
    scene.play(tracker, 1)
    spinner.until(lambda: not tracker._waits_for_lens)
    scene.play(tracker, 60)
    assert tracker._tracker.calibration.width_px == 720
    assert tracker._lens.matrix[0, 0] == pytest.approx(790.0)
    spinner.until(lambda: len(scene.tips) > 10)
