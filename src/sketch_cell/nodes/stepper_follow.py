"""The stepper driver's action follow_joint_trajectory, for MoveIt and every other client, where control_msgs is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.lifecycle import LifecycleNode
from rclpy.task import Future
from rclpy.time import Duration as RosDuration
from trajectory_msgs.msg import JointTrajectoryPoint

from sketch_cell.errors import MachineError
from sketch_cell.machine.driver import DriverState, GrblDriver
from sketch_cell.machine.follow import Follow, FollowSettings, Tolerances, Verdict
from sketch_cell.machine.knobs import KnobSettings, knobs_from_screen, screen_from_knobs
from sketch_cell.nodes.stepper_messages import JOINTS, waypoints

# control_msgs/FollowJointTrajectory's error codes.
SUCCESSFUL, INVALID_GOAL, PATH_TOLERANCE_VIOLATED, GOAL_TOLERANCE_VIOLATED = 0, -1, -4, -5
CODES = {
    Verdict.REACHED: SUCCESSFUL,
    Verdict.OFF_PATH: PATH_TOLERANCE_VIOLATED,
    Verdict.NOT_REACHED: GOAL_TOLERANCE_VIOLATED,
    Verdict.HALTED: PATH_TOLERANCE_VIOLATED,
}


def follow_action() -> Any | None:
    """The action's type, None where control_msgs is not installed (with pip)."""
    try:
        from control_msgs.action import FollowJointTrajectory
    except ImportError:
        return None
    return FollowJointTrajectory


class FollowServer:
    """Accepts one goal at a time while the machine is idle; `step` follows it."""

    def __init__(
        self,
        node: LifecycleNode,
        action: Any,
        driver: GrblDriver,
        knobs: KnobSettings,
        settings: FollowSettings,
        allowed: Callable[[], bool],
    ) -> None:
        self._action, self._driver, self._knobs, self._settings = action, driver, knobs, settings
        self._allowed = allowed
        self._node = node
        self._follow: Follow | None = None
        self._handle: Any = None
        self._ended: Future | None = None
        self._begun_s = 0.0
        self._server = ActionServer(
            node,
            action,
            "~/follow_joint_trajectory",
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    @property
    def busy(self) -> bool:
        """Whether a goal is being followed."""
        return self._follow is not None

    def _on_goal(self, goal: Any) -> GoalResponse:
        reason = ""
        if not self._allowed():
            reason = "the driver is not active"
        elif self._follow is not None:
            reason = "another goal is being followed"
        elif self._driver.state is not DriverState.IDLE:
            reason = f"the machine is {self._driver.state.value}, not idle"
        if reason:
            self._node.get_logger().error(f"A trajectory goal was refused: {reason}.")
        return GoalResponse.REJECT if reason else GoalResponse.ACCEPT

    async def _execute(self, handle: Any) -> Any:
        now_s = self._now_s()
        try:
            times, points, _ = waypoints(handle.request.trajectory, self._knobs)
            tolerances = goal_tolerances(handle.request, self._knobs, self._settings)
            follow = Follow(times, points, self._driver.motion(now_s).position_m, tolerances)
            self._driver.forget_motion()  # a timeline of its own
            self._driver.append(follow.time_s, follow.position_m)
        except MachineError as error:
            handle.abort()
            return self._result(INVALID_GOAL, str(error))
        self._follow, self._handle, self._begun_s = follow, handle, now_s
        self._ended = Future()
        return await self._ended

    def step(self, now_s: float) -> None:
        """Judge the goal in work, if any; call it with every look at the port."""
        follow, driver = self._follow, self._driver
        if follow is None:
            return
        driver.append([], np.zeros((0, 2)))  # tells the dead man's switch that somebody watches
        actual_m = driver.motion(now_s).position_m
        elapsed_s = now_s - self._begun_s
        verdict = follow.judge(elapsed_s, actual_m, driver.state)
        if self._handle.is_cancel_requested:
            self._stop(now_s)
            self._handle.canceled()
            self._end(self._result(SUCCESSFUL, "cancelled: the machine holds its place"))
        elif verdict is Verdict.REACHED:
            self._handle.succeed()
            self._end(self._result(SUCCESSFUL, ""))
        elif verdict is not Verdict.UNDER_WAY:
            words = f"{verdict.value} after {elapsed_s:.2f} s: the machine is {driver.state.value}, {driver.reason}"
            self._stop(now_s)
            self._handle.abort()
            self._end(self._result(CODES[verdict], words))

    def feed_back(self, now_s: float) -> None:
        """Tell the client how it goes."""
        if self._follow is None:
            return
        message = self._action.Feedback(joint_names=JOINTS)
        elapsed_s = now_s - self._begun_s
        desired, actual = self._follow.desired_m(elapsed_s), self._driver.motion(now_s).position_m
        since = RosDuration(seconds=max(elapsed_s, 0.0)).to_msg()
        for part, place_m in (("desired", desired), ("actual", actual), ("error", desired - actual)):
            angles = knobs_from_screen(place_m, self._knobs).tolist()
            setattr(message, part, JointTrajectoryPoint(positions=angles, time_from_start=since))
        self._handle.publish_feedback(message)

    def _stop(self, now_s: float) -> None:
        if self._driver.state is DriverState.RUNNING:
            self._driver.stop(now_s)

    def _end(self, result: Any) -> None:
        assert self._ended is not None
        self._follow, self._handle = None, None
        self._ended.set_result(result)

    def _result(self, code: int, words: str) -> Any:
        return self._action.Result(error_code=code, error_string=words)

    def _now_s(self) -> float:
        return float(self._node.get_clock().now().nanoseconds * 1e-9)


def goal_tolerances(goal: Any, knobs: KnobSettings, settings: FollowSettings) -> Tolerances:
    """A goal's own tolerances [rad] over the settings': 0 leaves those, -1 tolerates everything."""
    default = Tolerances.of(settings)
    time = goal.goal_time_tolerance.sec + goal.goal_time_tolerance.nanosec * 1e-9
    return Tolerances(
        _per_joint(goal.path_tolerance, default.path_m, knobs),
        _per_joint(goal.goal_tolerance, default.goal_m, knobs),
        time if time > 0 else default.goal_time_s,
    )


def _per_joint(given: Any, default_m: tuple[float, float], knobs: KnobSettings) -> tuple[float, float]:
    values = dict(zip(JOINTS, default_m, strict=True))
    for tolerance in given:
        if tolerance.name not in values:
            raise MachineError(f"A tolerance for {tolerance.name} is not for {' or '.join(JOINTS)}.")
        if tolerance.position < 0:
            values[tolerance.name] = math.inf
        elif tolerance.position > 0:
            values[tolerance.name] = float(screen_from_knobs(tolerance.position, knobs))
    return values[JOINTS[0]], values[JOINTS[1]]
