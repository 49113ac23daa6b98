"""One whole drawing in-process: planner's line in, the real driver, tracker and job on the twin, figures out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sketch_cell.control.deviation import Deviation, deviation
from sketch_cell.control.estimator import EstimatorSettings
from sketch_cell.control.follower import FollowerSettings
from sketch_cell.control.job import Job
from sketch_cell.control.job_words import (
    ControlSettings,
    JobInputs,
    JobOutputs,
    JobState,
    Order,
    Progress,
    TipSeen,
    machine_state,
)
from sketch_cell.control.polyline import arc_length_m
from sketch_cell.errors import MachineError
from sketch_cell.machine.driver import DriverSettings, DriverState, GrblDriver
from sketch_cell.machine.motion import MotionSettings, draw_time_s
from sketch_cell.twin.camera import CameraSettings
from sketch_cell.twin.toy import ToySettings
from sketch_cell.twin.world import World, board_for
from sketch_cell.vision.calibration import Lens
from sketch_cell.vision.glass import GlassSettings
from sketch_cell.vision.tracker import Tip, TipTracker, TrackerSettings

Array = NDArray[np.float64]

STEP_S = 0.02
SETTLE_S = 0.3
SAMPLE_S = 0.001  # of the true trace


@dataclass(frozen=True)
class CellSettings:
    """Settings of every part of one simulated cell."""

    control: ControlSettings = field(default_factory=ControlSettings)
    estimator: EstimatorSettings = field(default_factory=EstimatorSettings)
    follower: FollowerSettings = field(default_factory=FollowerSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    toy: ToySettings = field(default_factory=ToySettings)
    camera: CameraSettings = field(default_factory=CameraSettings)
    tracker: TrackerSettings = field(default_factory=TrackerSettings)


@dataclass(frozen=True)
class Drawing:
    """What came of one drawing, judged by the twin's truth; `losses_along_m` are places along the trace."""

    seed: int
    state: JobState
    reason: str
    deviation: Deviation
    draw_s: float
    planned_s: float
    jumps: int
    jumps_found: int
    losses_along_m: list[float]
    starved: int
    frames: int


class Cell:
    """The cell without ROS: a world, its driver, its tracker and one job, stepped together."""

    def __init__(self, line_m: Array, settings: CellSettings, seed: int) -> None:
        self.settings, self.seed = settings, seed
        toy, motion = settings.toy, settings.motion
        board = board_for(toy, motion)
        self.world = World(toy, settings.camera, board, seed=seed)
        home_x_m, home_y_m = toy.switch_x_m + board.pull_off_m, toy.switch_y_m + board.pull_off_m
        self.driver = GrblDriver(board, DriverSettings(home_x_m=home_x_m, home_y_m=home_y_m))
        info = self.world.camera.camera_info
        self.tracker = TipTracker(
            settings.tracker,
            glass=GlassSettings(width_m=toy.width_m, height_m=toy.height_m),
            lens=Lens(info.matrix, info.distortion),
        )
        self.job = Job(line_m, settings.control, settings.estimator, settings.follower, motion)
        self.events: list[str] = []
        self.tips_s: list[float] = []  # stamps of the images in which the tip was seen
        self.frames = 0
        self._stepped_s: list[float] = []
        self._on_line: list[bool] = []
        self._sees = settings.control.loop == "camera"
        self.driver.link_opened(0.0)

    def step(self) -> JobOutputs:
        """Let one period pass for everybody."""
        world, driver = self.world, self.driver
        data = world.exchange(driver.transmit(world.now_s), STEP_S, SAMPLE_S)
        now_s = world.now_s
        driver.receive(data, now_s)
        motion = driver.motion(now_s)
        progress = Progress(motion.stamp_s, motion.timeline_s, motion.position_m)
        tips = self._look(motion.position_m, motion.velocity_m_per_s) if self._sees else ()
        machine = machine_state(driver.state)
        outputs = self.job.step(now_s, JobInputs(machine, (progress,), tips, driver.reason))
        self._carry_out(outputs, now_s)
        self._stepped_s.append(now_s)
        self._on_line.append(self.job.on_line)
        self.events.extend(event.text for event in driver.drain_events())
        return outputs

    def trace_m(self) -> tuple[Array, Array]:
        """Times (n,) [s] and the true stylus (n, 2) [m] while the job was on its line.

        Ways to and from the switches are left out.
        """
        times, trace = self.world.trace()
        step = np.minimum(np.searchsorted(self._stepped_s, times), len(self._stepped_s) - 1)
        on_line = np.array(self._on_line)[step]
        return np.asarray(times[on_line]), np.asarray(trace[on_line])

    def _carry_out(self, outputs: JobOutputs, now_s: float) -> None:
        orders = {
            Order.HOME: self.driver.home,
            Order.HOLD: self.driver.hold,
            Order.RESUME: self.driver.resume,
            Order.STOP: self.driver.stop,
        }
        for order in outputs.orders:
            orders[order](now_s)
        if outputs.status.state is JobState.DRAWING:
            try:
                self.driver.append(outputs.waypoint_time_s, outputs.waypoint_m)
            except MachineError as error:
                self.job.pause(str(error))

    def _look(self, position_m: Array, velocity_m_per_s: Array) -> tuple[TipSeen, ...]:
        self.tracker.note_motion(self.world.now_s, position_m, velocity_m_per_s)
        tips = []
        for frame in self.world.frames():
            self.frames += 1
            tip = self.tracker.track(frame.image, frame.stamp_s)
            if isinstance(tip, Tip):
                tips.append(TipSeen(tip.stamp_s, tip.xy_m, tip.covariance_m2))
                self.tips_s.append(tip.stamp_s)
        return tuple(tips)


def draw(
    line_m: Array,
    settings: CellSettings,
    seed: int,
    watch: Callable[[Cell, JobOutputs], None] | None = None,
    most_s: float = 4 * 3600.0,
) -> tuple[Drawing, Cell]:
    """Home, draw line_m (N, 2) [m, screen] to its end, and compare the truth with the line.

    Raises `MachineError` when the machine cannot be homed or no stroke was drawn.
    """
    cell = Cell(line_m, settings, seed)
    while cell.driver.state is not DriverState.UNHOMED and cell.world.now_s < 10:
        cell.step()
    cell.job.draw()
    ended_s = np.inf
    while cell.world.now_s < min(ended_s + SETTLE_S, most_s):
        outputs = cell.step()
        if watch:
            watch(cell, outputs)
        if not np.isfinite(ended_s) and outputs.status.state not in (JobState.HOMING, JobState.DRAWING):
            ended_s = cell.world.now_s
    return _judged(cell), cell


def _compensated_m(cell: Cell) -> Array:
    """The backlash that a plan for this very toy would count: none where nothing is taken up."""
    toy, loop = cell.settings.toy, cell.settings.control.loop
    return np.array([toy.backlash_x_m, toy.backlash_y_m]) * (loop != "open")


def _judged(cell: Cell) -> Drawing:
    job, world = cell.job, cell.world
    if job.follower is None or job.begun_s is None:
        raise MachineError(f"Nothing was drawn: {job.status().reason or job.state.value}.")
    times, trace = cell.trace_m()
    found = deviation(trace, job.line.xy_m)
    losses_s = np.array([loss.time_s for loss in world.toy.losses])
    # A loss jerks the stylus between two samples of the trace: its ink begins at the one before. What was lost on
    # the way to the line counts as lost just before it.
    losses_m = np.interp(losses_s - 2 * SAMPLE_S, times, arc_length_m(trace), left=-1e-4).tolist()
    return Drawing(
        seed=cell.seed,
        state=job.state,
        reason=job.status().reason,
        deviation=found,
        draw_s=(job.ended_s or world.now_s) - job.begun_s,
        planned_s=draw_time_s(job.line.with_take_ups(_compensated_m(cell))[0], cell.settings.motion),
        jumps=int(np.count_nonzero(losses_s > job.begun_s)),
        jumps_found=len([jump for jump in job.estimator.jumps if jump.stamp_s > job.begun_s])
        if job.estimator
        else 0,
        losses_along_m=losses_m,
        starved=world.firmware.starved,
        frames=cell.frames,
    )
