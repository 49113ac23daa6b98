"""follow_joint_trajectory: the server's logic with goals of the real shape; the action itself where control_msgs is."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "machine"))

from builtin_interfaces.msg import Duration
from machine_pair import Pair
from rclpy.action import GoalResponse
from rclpy.time import Time
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from sketch_cell.errors import MachineError
from sketch_cell.machine.driver import DriverState
from sketch_cell.machine.follow import FollowSettings
from sketch_cell.machine.knobs import KnobSettings, knobs_from_screen
from sketch_cell.machine.waypoints import checked_feeds
from sketch_cell.nodes import stepper_follow
from sketch_cell.nodes.stepper_follow import FollowServer, goal_tolerances
from sketch_cell.nodes.stepper_messages import JOINTS, waypoints

KNOBS = KnobSettings()
# What control_msgs makes of Result and Feedback, as far as this needs it.
ACTION = SimpleNamespace(
    Result=lambda **values: SimpleNamespace(**values), Feedback=lambda **v: SimpleNamespace(**v)
)


def tolerance(name, position):
    return SimpleNamespace(name=name, position=position, velocity=0.0, acceleration=0.0)


def goal(times_s, points_m, path=(), end=(), goal_time_s=0.0):
    points = [
        JointTrajectoryPoint(
            positions=knobs_from_screen(point, KNOBS).tolist(),
            time_from_start=Duration(sec=int(time_s), nanosec=round((time_s % 1) * 1e9)),
        )
        for time_s, point in zip(times_s, points_m, strict=True)
    ]
    return SimpleNamespace(
        trajectory=JointTrajectory(joint_names=["knob_x", "knob_y"], points=points),
        path_tolerance=list(path),
        goal_tolerance=list(end),
        goal_time_tolerance=Duration(sec=int(goal_time_s)),
    )


class Handle:
    """A goal as rclpy hands it over."""

    def __init__(self, request):
        self.request, self.is_cancel_requested, self.ended, self.feedback = request, False, "", []

    def succeed(self):
        self.ended = "succeeded"

    def abort(self):
        self.ended = "aborted"

    def canceled(self):
        self.ended = "canceled"

    def publish_feedback(self, message):
        self.feedback.append(message)


class Bench:
    """The server on a homed driver with its firmware, on simulated time."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(stepper_follow, "ActionServer", lambda *_, **__: None)
        self.pair = Pair()
        self.pair.connect()
        self.pair.driver.home(self.pair.now_s)
        self.pair.until_state(DriverState.IDLE)
        self.pair.alive = False  # the server itself must keep the dead man's switch pressed
        clock = SimpleNamespace(now=lambda: Time(nanoseconds=round(self.pair.now_s * 1e9)))
        logger = SimpleNamespace(error=lambda words: None)
        node = SimpleNamespace(get_clock=lambda: clock, get_logger=lambda: logger)
        self.active = True
        self.server = FollowServer(
            node, ACTION, self.pair.driver, KNOBS, FollowSettings(), allowed=lambda: self.active
        )

    def begin(self, request):
        handle = Handle(request)
        self.result = self.server._execute(handle)
        try:
            self.result.send(None)
        except StopIteration as ended:
            handle.result = ended.value
        return handle

    def until_end(self, handle, limit_s=30.0):
        end_s = self.pair.now_s + limit_s
        while self.server.busy:
            assert self.pair.now_s < end_s
            self.pair.step()
            self.server.step(self.pair.now_s)
            self.server.feed_back(self.pair.now_s)
        with pytest.raises(StopIteration) as ended:
            self.result.send(None)
        handle.result = ended.value.value
        return handle


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch)


def test_a_goal_is_reached_and_says_so(bench):
    handle = bench.until_end(bench.begin(goal([3.0], [[0.05, 0.03]])))
    assert (handle.ended, handle.result.error_code) == ("succeeded", 0)
    np.testing.assert_allclose(bench.pair.driver.motion(bench.pair.now_s).position_m, [0.05, 0.03], atol=2e-4)
    last = handle.feedback[-1]
    np.testing.assert_allclose(np.array(last.actual.positions) + last.error.positions, last.desired.positions)


def test_a_violated_path_tolerance_stops_the_machine(bench):
    tight = [tolerance("knob_x", 0.5)]
    handle = bench.until_end(bench.begin(goal([0.2], [[0.1, 0.08]], path=tight)))
    assert (handle.ended, handle.result.error_code) == ("aborted", -4)
    assert "off the path" in handle.result.error_string
    bench.pair.until_state(DriverState.IDLE)
    assert bench.pair.driver.motion(bench.pair.now_s).position_m[0] < 0.09


def test_a_rest_on_the_way_is_within_the_path_tolerance(bench):
    times_s, points_m = [0.5, 1.0, 4.0, 4.5], [[0.01, 0.01], [0.02, 0.01], [0.02, 0.01], [0.02, 0.02]]
    tight = [tolerance(name, 0.7) for name in JOINTS]  # 4 mm
    handle = bench.until_end(bench.begin(goal(times_s, points_m, path=tight)))
    assert handle.ended == "succeeded", handle.result.error_string


@pytest.mark.parametrize(("last", "fed"), [(0.0, False), (1.0, True)])
def test_velocities_are_feeds_unless_the_machine_shall_stand(last, fed):
    message = goal([1.0, 2.0], [[0.01, 0.01], [0.02, 0.01]]).trajectory
    for point, speed in zip(message.points, (1.0, last), strict=True):
        point.velocities = [speed, 0.0]
    times_s, _, feeds = waypoints(message, KNOBS)
    assert (feeds is not None) is fed
    checked_feeds(feeds, len(times_s))


def test_a_goal_that_comes_too_late_is_said_to(bench):
    handle = bench.until_end(bench.begin(goal([0.2], [[0.14, 0.1]])))
    assert (handle.ended, handle.result.error_code) == ("aborted", -5)


def test_a_cancelled_goal_leaves_the_machine_idle_where_it_is(bench):
    handle = bench.begin(goal([5.0], [[0.1, 0.08]]))
    for _ in range(200):
        bench.pair.step()
        bench.server.step(bench.pair.now_s)
    handle.is_cancel_requested = True
    bench.until_end(handle)
    assert handle.ended == "canceled"
    bench.pair.until_state(DriverState.IDLE)
    assert 0.002 < bench.pair.driver.motion(bench.pair.now_s).position_m[0] < 0.09


def test_a_hold_by_somebody_else_ends_the_goal_with_its_reason(bench):
    handle = bench.begin(goal([5.0], [[0.1, 0.08]]))
    for _ in range(200):
        bench.pair.step()
        bench.server.step(bench.pair.now_s)
    bench.pair.driver.hold(bench.pair.now_s)
    bench.until_end(handle)
    assert handle.ended == "aborted"
    assert "held on request" in handle.result.error_string


def test_what_cannot_be_followed_moves_nothing(bench):
    for bad in (
        goal([], []),
        goal([1.0], [[0.9, 0.0]]),
        goal([1.0], [[0.05, 0.03]], path=[tolerance("elbow", 1.0)]),
    ):
        handle = bench.begin(bad)
        assert (handle.ended, handle.result.error_code) == ("aborted", -1)
        assert bench.pair.driver.state is DriverState.IDLE
        assert not bench.server.busy


def test_goals_are_refused_while_another_runs_and_while_the_machine_is_not_ready(bench):
    assert bench.server._on_goal(None) is GoalResponse.ACCEPT
    bench.active = False
    assert bench.server._on_goal(None) is GoalResponse.REJECT
    bench.active = True
    bench.begin(goal([5.0], [[0.1, 0.08]]))
    assert bench.server._on_goal(None) is GoalResponse.REJECT


def test_tolerances_are_the_goals_own_where_it_has_some():
    own = goal([1.0], [[0.1, 0.1]], [tolerance("knob_y", 1.0)], [tolerance("knob_x", -1.0)], goal_time_s=7.0)
    found = goal_tolerances(own, KNOBS, FollowSettings(path_tolerance_m=0.003))
    metre_per_rad = KNOBS.travel_per_turn_m / (2 * math.pi)
    assert found.path_m == pytest.approx((0.003, metre_per_rad))
    assert found.goal_m == (math.inf, FollowSettings().goal_tolerance_m)
    assert found.goal_time_s == 7.0
    with pytest.raises(MachineError, match="elbow"):
        goal_tolerances(goal([1.0], [[0.1, 0.1]], [tolerance("elbow", 1.0)]), KNOBS, FollowSettings())


def test_a_trajectory_client_moves_the_stylus():
    """The real action over DDS; control_msgs comes with native ROS 2 only."""
    pytest.importorskip("control_msgs")
    import rclpy
    from control_msgs.action import FollowJointTrajectory
    from machine_board import BoardThread
    from rclpy.action import ActionClient
    from rclpy.executors import SingleThreadedExecutor
    from std_srvs.srv import Trigger

    from sketch_cell.nodes.stepper_driver import StepperDriverNode

    with BoardThread() as board:
        rclpy.init(args=["--ros-args", "-p", f"port:={board.port}"])
        driver, user = StepperDriverNode(), rclpy.create_node("user")
        executor = SingleThreadedExecutor()
        for node in (driver, user):
            executor.add_node(node)

        def wait(future):
            executor.spin_until_future_complete(future, timeout_sec=60.0)
            return future.result()

        try:
            home = user.create_client(Trigger, "stepper_driver/home")
            while driver._driver.state is not DriverState.IDLE:
                if driver._driver.state is DriverState.UNHOMED:
                    wait(home.call_async(Trigger.Request()))
                executor.spin_once(timeout_sec=0.1)
            client = ActionClient(user, FollowJointTrajectory, "stepper_driver/follow_joint_trajectory")
            point = JointTrajectoryPoint(
                positions=knobs_from_screen([0.02, 0.02], KNOBS).tolist(), time_from_start=Duration(sec=2)
            )
            wanted = FollowJointTrajectory.Goal(
                trajectory=JointTrajectory(joint_names=["knob_x", "knob_y"], points=[point])
            )
            assert client.wait_for_server(10.0)
            accepted = wait(client.send_goal_async(wanted))
            assert accepted.accepted
            assert wait(accepted.get_result_async()).result.error_code == 0
        finally:
            for node in (driver, user):
                node.destroy_node()
            rclpy.try_shutdown()
