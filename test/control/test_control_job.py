"""The job as a state machine: what is legal, what the watchdogs catch, and going on after a crash."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from control_standin import StandInBoard, waves

from sketch_cell.control.deviation import deviation
from sketch_cell.control.estimator import EstimatorSettings
from sketch_cell.control.job import Job
from sketch_cell.control.job_words import (
    Commands,
    ControlSettings,
    JobInputs,
    JobOutputs,
    JobState,
    MachineState,
    Order,
    Progress,
    TipSeen,
    machine_state,
)
from sketch_cell.control.journal import Entry, clear, line_digest, load, save
from sketch_cell.control.lead_in import lead_in, way_back
from sketch_cell.control.route import route
from sketch_cell.errors import InputError, MachineError
from sketch_cell.machine.driver import DriverState
from sketch_cell.twin.toy import Toy, ToySettings

STEP_S = 0.02
HOME_M = np.array([0.001, 0.001])
LINE_M = waves(rows=3, cells=12)


class Bench:
    """A job on the stand-in board and the toy; homing puts the motors at HOME_M with the play taken up from below."""

    def __init__(self, line_m: np.ndarray = LINE_M, loop: str = "camera", toy: Toy | None = None) -> None:
        start = {"start_x_m": float(HOME_M[0]), "start_y_m": float(HOME_M[1])}
        self.toy = toy or Toy(ToySettings(**start, pull_out_m_per_s2=1e6))
        self.job = Job(line_m, ControlSettings(loop=loop), EstimatorSettings())
        self.machine, self.now_s = MachineState.UNHOMED, 0.0
        self.board: StandInBoard | None = None
        self.motor_m = HOME_M
        self.trace: list[np.ndarray] = []
        self.orders: list[Order] = []
        self.told: list[tuple[float, JobInputs, JobOutputs]] = []
        self.blind = self.stuck = False
        self.clock_s = 0.0  # how far the clock of the stamps was set
        self._rng = np.random.default_rng(1)

    def step(self) -> JobOutputs:
        self.now_s += STEP_S
        progress, tips = (), ()
        if self.board is not None:
            if not (self.stuck or self.machine is MachineState.HELD):
                motor_m = self.board.advance(STEP_S)
                self.motor_m = motor_m[-1]
                self.trace.append(self.toy.move(motor_m, 1e-3))
            stamp_s = self.now_s + self.clock_s
            progress = (Progress(stamp_s, self.board.now_s, self.motor_m),)
            if not self.blind and round(self.now_s / STEP_S) % 2:
                tip = self.toy.stylus_m + self._rng.normal(0, 1e-4, 2)
                tips = (TipSeen(stamp_s, tip, np.eye(2) * 1e-8),)
        inputs = JobInputs(self.machine, progress, tips, "because")
        outputs = self.job.step(self.now_s, inputs)
        self.told.append((self.now_s, inputs, outputs))
        self._obey(outputs)
        return outputs

    def _obey(self, outputs: JobOutputs) -> None:
        self.orders += outputs.orders
        if self.machine is MachineState.HOMING:
            self.machine = MachineState.READY
            # Onto the switches and off again: the motors' zero is where the stylus, coming down, meets the switch.
            here = self.motor_m
            self.toy._slip_m[:] = -0.5 * np.array([0.00175, 0.0020])
            down = np.linspace(here, HOME_M - 0.004, 2000)
            self.trace.append(self.toy.move(np.vstack([down, np.linspace(down[-1], HOME_M, 500)]), 1e-3))
            self.motor_m, self.board = HOME_M, StandInBoard(HOME_M)
        for order in outputs.orders:
            after = {
                Order.HOME: MachineState.HOMING,
                Order.HOLD: MachineState.HELD,
                Order.RESUME: MachineState.READY,
            }
            self.machine = after.get(order, MachineState.READY)
        if len(outputs.waypoint_time_s) and self.board is not None:
            first = 1 if outputs.waypoint_time_s[0] == 0.0 else 0
            if first:
                self.board = StandInBoard(self.motor_m)
            self.board.append(outputs.waypoint_time_s[first:], outputs.waypoint_m[first:])

    def until(self, *states: JobState, seconds: float = 400.0) -> JobOutputs:
        end_s = self.now_s + seconds
        while (outputs := self.step()).status.state not in states:
            assert self.now_s < end_s, outputs.status
        return outputs

    def run(self, seconds: float) -> JobOutputs:
        outputs = self.step()
        for _ in range(int(seconds / STEP_S)):
            outputs = self.step()
        return outputs


def drawing(seconds: float = 6.0, **kwargs) -> Bench:
    bench = Bench(**kwargs)
    bench.job.draw()
    bench.until(JobState.DRAWING)
    bench.run(seconds)
    return bench


def test_it_homes_draws_to_the_end_and_stays_true() -> None:
    bench = drawing()
    outputs = bench.until(JobState.DONE)
    assert bench.orders == [Order.HOME]
    assert outputs.status.progress == 1.0
    result = deviation(np.concatenate(bench.trace), LINE_M)
    assert result.rms_m < 1e-4
    assert outputs.status.draw_s > 10
    assert float(outputs.status.figures()["planned_s"]) > 10


def test_progress_never_goes_back() -> None:
    bench = drawing(0.0)
    shown = []
    while bench.job.state is JobState.DRAWING:
        shown.append(bench.step().status.progress)
    assert all(b >= a for a, b in itertools.pairwise(shown))


@pytest.mark.parametrize("request_", ["pause", "resume", "abort"])
def test_what_is_not_legal_is_refused_with_the_state_it_is_in(request_: str) -> None:
    job = Job(LINE_M)
    with pytest.raises(MachineError, match="idle"):
        getattr(job, request_)()
    assert job.state is JobState.IDLE


def test_a_pause_leaves_no_mark() -> None:
    bench = drawing()
    bench.job.pause()
    outputs = bench.step()
    assert outputs.orders == (Order.HOLD,)
    at = bench.run(30.0).status.progress
    assert bench.job.state is JobState.PAUSED
    bench.job.resume()
    assert bench.step().orders == (Order.RESUME,)
    assert bench.run(1.0).status.progress >= at
    bench.until(JobState.DONE)
    assert deviation(np.concatenate(bench.trace), LINE_M).rms_m < 1e-4


def test_no_tip_for_long_pauses_and_says_why() -> None:
    bench = drawing(line_m=waves(rows=4, cells=16))
    bench.blind = True
    assert bench.run(10.0).status.state is JobState.DRAWING
    outputs = bench.until(JobState.PAUSED)
    assert "camera" in outputs.status.reason
    assert Order.HOLD in bench.orders


def test_a_board_that_stands_still_pauses_and_says_why() -> None:
    bench = drawing()
    bench.stuck = True
    assert "does not move" in bench.until(JobState.PAUSED, seconds=10).status.reason


def test_a_stylus_far_off_the_line_pauses() -> None:
    bench = drawing()
    bench.toy._slip_m += 0.02  # somebody pushed the stylus
    outputs = bench.until(JobState.PAUSED, seconds=60)
    assert "far from the line" in outputs.status.reason


def test_a_fault_of_the_driver_fails_the_job_with_its_reason_and_stops() -> None:
    bench = drawing()
    bench.machine = MachineState.FAULT
    outputs = bench.step()
    assert (outputs.status.state, outputs.status.reason) == (JobState.FAILED, "because")
    assert Order.STOP in outputs.orders


def test_homing_that_never_ends_fails() -> None:
    job = Job(LINE_M)
    job.draw()
    job.step(0.0, JobInputs(MachineState.HOMING))
    outputs = job.step(100.0, JobInputs(MachineState.HOMING))
    assert outputs.status.state is JobState.FAILED
    assert "switches" in outputs.status.reason


def test_stale_readiness_is_not_taken_for_the_end_of_homing() -> None:
    job = Job(LINE_M)
    job.draw()
    ready = JobInputs(MachineState.READY, (Progress(0.0, 0.0, HOME_M),))
    assert job.step(0.0, ready).status.state is JobState.HOMING


@pytest.mark.parametrize("position_kept", [True, False])
def test_after_a_crash_the_drawing_goes_on_where_it_was(position_kept: bool, tmp_path) -> None:
    before = drawing(14.0)
    entry = before.job.entry()
    assert entry is not None
    save(tmp_path / "journal.json", entry)
    before.run(0.3)  # what was queued when the controller died
    after = Bench(toy=before.toy)
    after.motor_m, after.now_s = before.motor_m, before.now_s
    if position_kept:
        after.machine, after.board = MachineState.READY, StandInBoard(before.motor_m)
    kept = load(tmp_path / "journal.json")
    assert kept == entry
    after.job.go_on(kept, after.machine)
    outputs = after.until(JobState.DONE)
    assert (Order.HOME in after.orders) is not position_kept
    assert outputs.status.progress == 1.0
    # every part of the line has been drawn, by the one or the other
    both = np.concatenate(before.trace + after.trace)
    line = route(LINE_M, 3e-5, 5e-5).xy_m
    gaps = [np.hypot(*(both - point).T).min() for point in line[::10]]
    assert np.max(gaps) < 4e-4
    again_m = after.job.line.along_m[-1] - after.job._skipped_m
    assert again_m < after.job.line.along_m[-1] - entry.along_m + 0.2


def test_the_way_back_stays_outside_the_drawing() -> None:
    line = waves(rows=6, cells=16)
    along = route(line, 0.0, 0.0).along_m
    low, high = line.min(axis=0) + 0.0045, line.max(axis=0) - 0.0045
    for share in (0.1, 0.5, 0.9):
        way, at_m = way_back(HOME_M, line, along, share * along[-1])
        assert at_m <= share * along[-1]
        dense = np.concatenate([np.linspace(a, b, 200) for a, b in itertools.pairwise(way)])
        inside = np.all((dense > low) & (dense < high), axis=1)
        assert not inside.any()
        assert share * along[-1] - at_m < 0.15  # no more than a row is drawn twice


def test_the_calibration_stroke_keeps_to_the_margin_and_reverses_both_axes_often() -> None:
    way = lead_in(HOME_M, LINE_M, True)
    assert way[:, 0].max() < 0.003
    assert route(way, 0.0, 5e-5).reversals.min() >= 18
    narrow = LINE_M - np.array([LINE_M[:, 0].min() - 0.001, 0.0])
    assert len(lead_in(HOME_M, narrow, True)) == 2


def test_a_journal_of_another_line_is_refused() -> None:
    job = Job(LINE_M)
    entry = Entry(line_digest(LINE_M + 1e-4), 0.1, (0.0, 0.0), (0.001, 0.001))
    with pytest.raises(MachineError, match="another line"):
        job.go_on(entry, MachineState.UNHOMED)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"line": "a"}', '{"line":"a","along_m":NaN}', "\x00"])
def test_a_broken_journal_is_named(content: str, tmp_path) -> None:
    path = tmp_path / "journal.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"journal\.json"):
        load(path)


def test_no_journal_is_no_error(tmp_path) -> None:
    assert load(tmp_path / "none.json") is None
    clear(tmp_path / "none.json")


@pytest.mark.parametrize(("ends", "homings", "healed"), [("left", 3, 0.45), ("both", 6, 0.25)])
def test_row_end_homing_bounds_a_lost_step_and_comes_back_beside_the_drawing(
    ends: str, homings: int, healed: float
) -> None:
    bench = Bench(waves(rows=6, cells=16), loop="homing")
    bench.job._control = ControlSettings(loop="homing", homing_ends=ends)
    bench.job._estimator_settings = EstimatorSettings(backlash_x_m=0.00175, backlash_y_m=0.0020)
    bench.job.draw()
    bench.until(JobState.DRAWING)
    while not bench.job.on_line:
        bench.step()
    bench.run(1.0)
    bench.toy._slip_m[1] += 0.00072
    on_line = []
    while bench.job.state is not JobState.DONE:
        bench.step()
        if bench.job.on_line and bench.trace:
            on_line.append(bench.trace[-1])
    assert bench.orders.count(Order.HOME) == homings
    result = deviation(np.concatenate(on_line), bench.job.line.xy_m)
    place = np.arange(len(result.trace_to_line_m)) / len(result.trace_to_line_m)
    late = result.trace_to_line_m[(place > healed) & (place < 0.99)]
    assert np.sqrt(np.mean(result.trace_to_line_m[place < 0.15] ** 2)) > 2e-4
    assert np.sqrt(np.mean(late**2)) < 1.2e-4


@pytest.mark.parametrize("backlash_m", [0.0016, 0.0009])
def test_a_drawing_computed_again_is_followed_to_its_end_and_its_losses_found(backlash_m: float) -> None:
    """The board obeys the job that was recorded: another take-up here or there must not tear the two apart."""
    start = {"start_x_m": float(HOME_M[0]), "start_y_m": float(HOME_M[1])}
    toy = Toy(ToySettings(**start, pull_out_m_per_s2=1e6, lost_step_probability=0.012), seed=4)
    bench = Bench(waves(rows=6, cells=12), toy=toy)
    bench.job.draw()
    bench.until(JobState.DONE)
    assert bench.job.status().jumps >= 3
    again = Job(waves(rows=6, cells=12), ControlSettings(), EstimatorSettings(backlash_y_m=backlash_m))
    again.draw()
    before = bench.told[0][2]
    for now_s, inputs, outputs in bench.told:
        commands = Commands(before.waypoint_time_s, before.waypoint_m)
        again.step(now_s, dataclasses.replace(inputs, commands=commands))
        before = outputs
    assert again.state is JobState.DONE
    assert abs(again.status().jumps - bench.job.status().jumps) <= 1
    assert np.abs(again.status().backlash_m - bench.job.status().backlash_m).max() < 1e-4


def test_a_driver_that_drops_its_path_leaves_the_place_on_the_line() -> None:
    bench = drawing()
    before = bench.job.entry()
    bench.board = StandInBoard(bench.motor_m)  # its timeline begins at 0 again
    bench.step()
    assert bench.job.entry().along_m >= before.along_m > 0.01
    assert bench.step().status.progress > 0


@pytest.mark.parametrize(
    "tip",
    [
        TipSeen(0.0, np.array([np.nan, 0.01]), np.eye(2) * 1e-8),
        TipSeen(0.0, np.array([0.01, 0.01]), np.full((2, 2), np.inf)),
        TipSeen(3600.0, np.array([0.01, 0.01]), np.eye(2) * 1e-8),
    ],
)
def test_a_tip_that_makes_no_sense_is_not_learnt_from(tip: TipSeen) -> None:
    bench = drawing()
    odd = dataclasses.replace(tip, stamp_s=bench.now_s + tip.stamp_s)
    bench.job.step(bench.now_s, JobInputs(bench.machine, (), (odd,), ""))
    bench.until(JobState.DONE)
    assert deviation(np.concatenate(bench.trace), LINE_M).rms_m < 1e-4


def test_a_line_in_the_wrong_unit_is_refused() -> None:
    with pytest.raises(InputError, match="metres"):
        Job(LINE_M * 1000)


@pytest.mark.parametrize("word", ["", "dancing"])
def test_an_unknown_word_for_the_drivers_state_is_a_fault(word: str) -> None:
    assert machine_state(word) is MachineState.FAULT
    assert machine_state("idle") is machine_state(DriverState.IDLE) is MachineState.READY


@pytest.mark.parametrize("by_s", [-3600.0, -0.9, -0.15, 60.0])
def test_a_clock_that_is_set_while_drawing_changes_nothing(by_s: float) -> None:
    bench = drawing(8.0, line_m=waves(rows=4, cells=20))
    late = TipSeen(bench.now_s, bench.toy.stylus_m.copy(), np.eye(2) * 1e-8)  # still in the tracker by then
    found, bench.clock_s = bench.job.status().jumps, by_s
    bench.step()
    bench._obey(bench.job.step(bench.now_s, JobInputs(bench.machine, (), (late,))))
    bench.until(JobState.DONE)
    assert bench.job.status().jumps == found
    assert deviation(np.concatenate(bench.trace), bench.job.line.xy_m).rms_m < 1e-4


@pytest.mark.parametrize("on_its_way", [False, True])
def test_a_machine_that_was_moved_by_hand_is_homed_before_it_goes_on(on_its_way: bool) -> None:
    line = waves(rows=6, cells=16)
    before = drawing(0.3 if on_its_way else 30.0, line_m=line)
    entry = before.job.entry()
    after = Bench(line, toy=before.toy)
    after.motor_m = before.motor_m
    if not on_its_way:
        after.machine = MachineState.HOMING
        after._obey(JobOutputs(after.job.status()))  # by the driver's own service
    after.trace.clear()
    after.machine, after.board = MachineState.READY, StandInBoard(after.motor_m)
    after.job.go_on(entry, after.machine)
    after.until(JobState.DRAWING)
    assert after.orders == [Order.HOME]
    after.trace.clear()
    after.until(JobState.DONE)
    both = np.concatenate([*before.trace, *after.trace])
    assert max(np.hypot(*(both - point).T).min() for point in after.job.line.xy_m[::10]) < 4e-4
    low, high = line.min(axis=0) + 0.001, line.max(axis=0) - 0.001
    ink = np.concatenate(after.trace)[::20]
    inside = ink[((ink > low) & (ink < high)).all(axis=1)]
    assert max(np.hypot(*(line - point).T).min() for point in inside) < 6e-4


def test_a_line_drawn_again_begins_with_no_progress() -> None:
    bench = drawing()
    bench.until(JobState.DONE)
    bench.job.draw()
    status = bench.step().status
    assert (status.state, status.progress) == (JobState.HOMING, 0.0)
    assert np.isnan(status.time_left_s)


def test_a_closed_line_is_drawn_to_its_end() -> None:
    square = np.array([[0.03, 0.03], [0.06, 0.03], [0.06, 0.06], [0.03, 0.06], [0.03, 0.03]])
    bench = drawing(line_m=square)
    bench.until(JobState.DONE)
    assert np.hypot(*(np.concatenate(bench.trace) - [0.03, 0.045]).T).min() < 4e-4
