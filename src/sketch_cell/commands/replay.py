"""`sketch-cell replay`: a recorded cell again, for eyes, and for nodes that compute again what they computed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sketch_cell.bringup import CellSettings, NodeSpec, ParameterValue, parameter_file
from sketch_cell.commands.console import console, progress
from sketch_cell.commands.options import FloatRange
from sketch_cell.errors import InputError, SketchCellError
from sketch_cell.runner import CellProcesses

if TYPE_CHECKING:
    from sketch_cell.ros.bag import Bag
    from sketch_cell.ros.player import Player

READY_WITHIN_S = 60.0
LISTENERS_WITHIN_S = 1.5  # who listens already is found by then
LAST_WORDS_S = 0.5
LOOK_S, DRIVER_LOOK_S = 0.05, 0.2
# Node -> what it reads, which must be in the recording, and what it says itself in place of the recording.
READS = {
    "tip_tracker": ("camera/image_raw", "camera/camera_info", "joint_states"),
    "drawing_controller": ("line/path", "knobs/trajectory", "knobs/executed", "stepper_driver/state", "tip"),
}
SAYS = {
    "tip_tracker": ("tip", "tip/debug"),
    "drawing_controller": ("job/status", "drawn/markers"),
}
# The recorded board did what the recorded controller said, whatever the new one says: it must hear both.
HEARD_AS = {"tip_tracker": {}, "drawing_controller": {"knobs/trajectory": "knobs/recorded"}}
# Node -> which of its words are held against the recorded ones.
COMPARED = {"tip_tracker": "tip", "drawing_controller": "knobs/trajectory"}
# Changes of the recorded job that mean that a person said draw.
BEGINNINGS = {(state, "homing") for state in ("idle", "done", "failed")}
DRIVER = "stepper_driver"


@click.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--rate", type=FloatRange(0.01, 100.0), default=1.0, show_default=True, help="Times as fast.")
@click.option("--topic", "topics", multiple=True, help="Play only this topic; may be given several times.")
@click.option(
    "--with",
    "again",
    type=click.Choice([*READS]),
    multiple=True,
    help="Start this node, too: it computes anew, and its recorded words are not played.",
)
@click.option("--params-file", default="", help="Parameters of these nodes instead of those of the machine.")
@click.option(
    "--machine",
    type=click.Choice(["twin", "grbl"]),
    help="What was recorded; by default a twin where one speaks.",
)
@click.option("--namespace", default="replay", show_default=True, help="Where it plays, apart from any cell.")
def replay(
    recording: Path,
    rate: float,
    topics: tuple[str, ...],
    again: tuple[str, ...],
    params_file: str,
    machine: str | None,
    namespace: str,
) -> None:
    """Play RECORDING, a bag's folder or .mcap file, under /replay: a cell that runs does not hear it.

    No machine moves: commands go out where no driver listens, and none may run there.

    Example: sketch-cell replay monday --with tip_tracker --with drawing_controller
    """
    from sketch_cell.ros.bag import Bag

    bag = Bag(recording)
    if bag.cut_off:
        console.print(f"{recording} was cut off while it was recorded: playing what there is.")
    kind = machine or (
        "twin" if f"{bag.namespace}/twin/trace" in bag.topics or "/clock" in bag.topics else "grbl"
    )
    cell = CellSettings(machine=kind, namespace=namespace, params_file=params_file)
    if not cell.namespace:
        raise InputError(
            "namespace is empty: name one, such as replay, so that no machine hears the recording."
        )
    file, nodes = parameter_file(cell), [_spec(name) for name in dict.fromkeys(again)]
    with tempfile.TemporaryDirectory(prefix="sketch-cell-") as logs:
        processes = CellProcesses(
            nodes, parameter_file=file, log_folder=Path(logs), namespace=cell.namespace, log_level="warn"
        )
        Replay(bag, nodes, topics, rate).run(processes, cell.namespace)


def _spec(name: str) -> NodeSpec:
    """A node that lives on the recording's time, in a namespace of its own."""
    parameters: dict[str, ParameterValue] = {"use_sim_time": True}
    if name == "drawing_controller":
        parameters["journal"] = ""  # the journal is the real drawing's
        parameters["replay"] = True
    return NodeSpec(name, "replay", parameters=parameters, remaps={"/clock": "clock"})


class Replay:
    """One playing of a bag, with the nodes that compute again."""

    def __init__(self, bag: Bag, nodes: list[NodeSpec], topics: tuple[str, ...], rate: float) -> None:
        self._bag, self._rate = bag, rate
        self._names = [node.name for node in nodes]
        self._only = {topic.removeprefix(bag.namespace).strip("/") for topic in topics}
        self._recorded: dict[str, list[bytes]] = {COMPARED[name]: [] for name in self._names}
        self._job, self._words = "idle", "nothing"
        self._has_line = self._must_draw = False
        self._checked_s = self._looked_s = 0.0

    def run(self, processes: CellProcesses, namespace: str) -> None:
        """Play to the end; raises `InputError`, or `SketchCellError` where a node did not take part."""
        from sketch_cell.ros.player import Player

        recorded = {name.removeprefix(f"{self._bag.namespace}/").strip("/") for name in self._bag.topics}
        for topic in self._only - recorded:
            raise InputError(f"the recording has no {topic}: it has {', '.join(sorted(recorded))}.")
        leave_out = {topic for name in self._names for topic in SAYS[name]}
        heard_as = {topic: called for name in self._names for topic, called in HEARD_AS[name].items()}
        with processes:
            player = Player(self._bag, namespace, leave_out, self._only, heard_as)
            try:
                for topic in player.missing:
                    console.print(f"{topic} is not played: its type is not installed here.")
                player.listen(
                    [*self._recorded, *(["job/status"] if "drawing_controller" in self._names else [])]
                )
                self._wait(player, processes)
                self._play(player, processes)
            finally:
                player.close()
        self._report(player)

    def _check(self, player: Player, processes: CellProcesses) -> None:
        """Every node lives, and no driver is there, or came since."""
        processes.check()
        if time.monotonic() - self._looked_s > DRIVER_LOOK_S:
            self._looked_s = time.monotonic()
            if player.has_node(DRIVER):
                raise InputError(
                    f"a {DRIVER} runs in {player.namespace}: it would obey. Choose another --namespace."
                )

    def _wait(self, player: Player, processes: CellProcesses) -> None:
        """Until every node that computes again hears all it needs."""
        needs: set[str] = set()
        for name in self._names:
            computed = "tip_tracker" in self._names
            wanted = [topic for topic in READS[name] if not (topic == "tip" and computed)]
            player.require(wanted, name)
            needs.update(wanted)
        begin_s, patience_s = time.monotonic(), READY_WITHIN_S if needs else LISTENERS_WITHIN_S
        while time.monotonic() - begin_s < patience_s:
            player.spin(LOOK_S)
            self._check(player, processes)
            if needs and player.heard(needs):
                return
        if needs:
            raise SketchCellError(f"{' and '.join(self._names)} did not start in {READY_WITHIN_S:.0f} s.")

    def _play(self, player: Player, processes: CellProcesses) -> None:
        def meanwhile(left_s: float) -> None:
            until_s = time.monotonic() + left_s
            if time.monotonic() - self._checked_s > LOOK_S:
                self._checked_s = time.monotonic()
                player.spin(0.0)
                self._check(player, processes)
            while (left_s := until_s - time.monotonic()) > 0:
                time.sleep(min(left_s, LOOK_S))
                self._check(player, processes)

        seconds = (self._bag.last_ns - self._bag.first_ns) * 1e-9 / self._rate
        with progress(f"playing {seconds:.0f} s", self._bag.messages) as advance:
            for message in player.play(self._rate, meanwhile):
                self._note(player, player.relative(message.topic), message.data)
                advance(1)
            meanwhile(LAST_WORDS_S)
            player.spin(0.0)

    def _note(self, player: Player, topic: str, data: bytes) -> None:
        """Keep what is to be compared, and tell the new controller to draw when a person told the old one."""
        if topic in self._recorded:
            self._recorded[topic].append(data)
        if topic == "job/status" and "drawing_controller" in self._names:
            from sketch_cell.ros.replay_figures import job_state, job_words

            self._words = job_words(data)
            before, self._job = self._job, job_state(data)
            self._must_draw |= (before, self._job) in BEGINNINGS
        # The recorder may have heard the line, latched, only after a person had said draw.
        if self._must_draw and self._has_line:
            player.draw()
            self._must_draw = False
        self._has_line |= topic == "line/path"

    def _report(self, player: Player) -> None:
        from sketch_cell.ros.replay_figures import job_words, tips_alike, waypoints_alike

        if "drawing_controller" in self._names:
            again = job_words(player.said["job/status"][-1]) if player.said["job/status"] else "nothing"
            console.print(f"job: {self._words} recorded, {again} again.")
        for reason in player.refusals():
            console.print(f"the controller refused to draw: {reason}")
        for name in self._names:
            topic = COMPARED[name]
            alike = tips_alike if topic == "tip" else waypoints_alike
            console.print(f"{topic}: {alike(self._recorded[topic], player.said[topic])}.")
