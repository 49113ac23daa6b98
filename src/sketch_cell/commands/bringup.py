"""`sketch-cell bringup`: a whole cell, simulated or real, without `ros2 launch`; a person says when to draw."""

from __future__ import annotations

import os
import select
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sketch_cell.bringup import CellSettings, NodeSpec, cell_nodes, cell_view_url, managed, parameter_file
from sketch_cell.commands.console import console, say
from sketch_cell.commands.options import settings_from, settings_options
from sketch_cell.errors import MachineError, SketchCellError
from sketch_cell.runner import CellProcesses

if TYPE_CHECKING:
    from sketch_cell.ros.observer import CellObserver

LOOK_S = 0.1
# What a person types -> the service that does it.
ORDERS = {
    "draw": "drawing_controller/draw",
    "pause": "drawing_controller/pause",
    "resume": "drawing_controller/resume",
    "abort": "drawing_controller/abort",
}
QUEUE_ORDERS = {"confirm": "job_queue/confirm", "skip": "job_queue/skip"}
ENDS = {"done", "failed", "paused"}


@click.command()
@click.argument("photo", required=False, default="")
@settings_options(CellSettings, leave_out=("photo",))
@click.option("--draw", "at_once", is_flag=True, help="Draw as soon as all is ready, and end when done.")
@click.option(
    "--log-folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("output/log"),
    show_default=True,
    help="Where each node writes what it has to say.",
)
def bringup(photo: str, at_once: bool, log_folder: Path, **options: Any) -> None:
    """Start a cell for PHOTO (a file, or a folder to watch) and draw when told to.

    Type draw, pause, resume, abort or quit and Enter. The options are the arguments of bringup.launch.py.

    Example: sketch-cell bringup --machine grbl --port /dev/ttyUSB0 --camera /dev/video0 holiday.jpg
    """
    cell = settings_from(CellSettings, {**options, "photo": str(Path(photo).resolve()) if photo else ""})
    if photo:
        _check_photo(Path(cell.photo))
    if at_once and not photo:
        raise click.UsageError("--draw needs a PHOTO to draw.")
    with tempfile.TemporaryDirectory(prefix="sketch-cell-") as folder:
        nodes = managed(cell_nodes(cell, work_folder=Path(folder)))
        file = parameter_file(cell)
        log_folder.mkdir(parents=True, exist_ok=True)
        processes = CellProcesses(
            nodes,
            parameter_file=file,
            log_folder=log_folder,
            namespace=cell.namespace,
            log_level=cell.log_level,
            tell=say,
        )
        _run(processes, nodes, cell, at_once)


def _check_photo(photo: Path) -> None:
    """Refuse a bad file before anything starts; in a folder each photo is judged when its turn comes."""
    from sketch_cell.picture.source import PictureSettings, load_photo_file

    if not photo.is_dir():
        load_photo_file(photo, PictureSettings().max_megapixels)


def _run(processes: CellProcesses, nodes: list[NodeSpec], cell: CellSettings, at_once: bool) -> None:
    from sketch_cell.ros.observer import CellObserver

    with processes:
        if cell.view:
            say(f"Live view: {cell_view_url(cell)}")
        observer = CellObserver(cell.namespace)
        try:
            person = Person(observer, processes, {**ORDERS, **(QUEUE_ORDERS if cell.queue else {})})
            for node in nodes:
                if node.lifecycle:
                    person.activate(node.name)
            if at_once:
                person.draw_once(closed=cell.loop == "closed")
            else:
                person.serve()
        finally:
            observer.close()


class Person:
    """Stands between a person and a cell: shows what the cell says, passes on what the person says."""

    def __init__(self, observer: CellObserver, processes: CellProcesses, orders: dict[str, str]) -> None:
        self._observer = observer
        self._processes = processes
        self._orders = orders
        self._answers: list[tuple[str, Callable[[], str | None]]] = []
        self._shown: tuple[str, ...] = ()
        self._typed = ""
        self._input = sys.stdin.fileno() if sys.stdin else -1
        self._listening = self._input >= 0
        self._quit = False

    def activate(self, name: str) -> None:
        """Configure and activate a node; raises `MachineError` with its own last error where that fails."""
        console.print(f"starting {name} ...")
        failed = self._answer(self._observer.activate(name))
        if failed:
            raise MachineError(f"node {name} could not be {failed}: {self._last_error(name)}")

    def draw_once(self, *, closed: bool) -> None:
        """Draw as soon as there is a line and the machine is ready; raises `SketchCellError` where that fails."""
        status, healthy = self._status, self._observer.healthy
        self._until(lambda: status("state") == "idle" and (not closed or "tip_tracker" in healthy))
        refused = self._answer(self._observer.ask(self._orders["draw"]))
        if refused:
            raise SketchCellError(f"the drawing was refused: {refused}")
        self._until(lambda: status("state") not in ("", "idle"))
        self._until(lambda: status("state") in ENDS)
        if status("state") != "done":
            raise SketchCellError(
                f"the drawing {status('state')}: {status('message')}. What each node said is in "
                f"{self._processes.log_folder}/."
            )

    def serve(self) -> None:
        """Until the person quits."""
        words = ", ".join([*self._orders, "quit"])
        console.print(f"The cell runs. Type one of: {words}. Ctrl-C ends it.")
        self._until(lambda: self._quit)

    def _answer(self, ask: Callable[[], str | None]) -> str:
        """Wait for an answer."""
        replies: list[str] = []

        def answered() -> bool:
            reply = ask()
            replies.extend([] if reply is None else [reply])
            return bool(replies)

        self._until(answered)
        return replies[0]

    def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._observer.spin(LOOK_S)
            self._processes.check()
            self._listen()
            self._hear_answers()
            self._show()

    def _listen(self) -> None:
        """Take what was typed, without waiting for more."""
        while self._listening and select.select([self._input], [], [], 0)[0]:
            data = os.read(self._input, 4096)
            self._listening = bool(data)
            *lines, self._typed = (self._typed + data.decode(errors="replace")).split("\n")
            for line in lines:
                self._obey(line.strip())

    def _obey(self, word: str) -> None:
        if word == "quit":
            self._quit = True
        elif word in self._orders:
            self._order(word)
        elif word:
            console.print(f"'{word}' is not one of: {', '.join([*self._orders, 'quit'])}.")

    def _order(self, word: str) -> None:
        self._answers.append((word, self._observer.ask(self._orders[word])))

    def _hear_answers(self) -> None:
        for entry in list(self._answers):
            word, answer = entry
            reply = answer()
            if reply is None:
                continue
            self._answers.remove(entry)
            if reply:
                console.print(f"{word} was refused: {reply}")

    def _show(self) -> None:
        """A line per state, tenth drawn and change of the queue."""
        status = self._observer.status
        tenth = int(float(status.get("progress", 0.0)) * 10) * 10
        shown = (status.get("state", ""), str(tenth), self._observer.queue.get("message", ""))
        if shown == self._shown or not (status or self._observer.queue):
            return
        if shown[:2] != self._shown[:2] and status:
            reason = status["message"] if status["message"] != status["state"] else ""
            seen = status.get("deviation_mm", "")
            deviation = f", {float(seen):.2f} mm off" if seen and tenth else ""
            console.print(f"{status['state']} {tenth} %{deviation}{reason and ': ' + reason}")
        if shown[2] != (self._shown[2] if self._shown else "") and shown[2]:
            console.print(f"queue: {shown[2]}")
        self._shown = shown

    def _status(self, key: str) -> str:
        return self._observer.status.get(key, "")

    def _last_error(self, name: str) -> str:
        errors = [line for line in self._processes.last_words(name).splitlines() if "[ERROR]" in line]
        return errors[-1].split("]: ", 1)[-1] if errors else "it did not say why."
