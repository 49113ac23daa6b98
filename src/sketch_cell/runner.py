"""Runs the nodes of a cell as processes where there is no `ros2 launch`, and stops all of them together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sketch_cell.bringup import PACKAGE, NodeSpec, ParameterValue, executable
from sketch_cell.errors import SketchCellError

# A node gets this long to let go of its hardware before it is killed; the whole stop takes under 3 s.
STOP_WITHIN_S = 2.0
LAST_WORDS_LINES = 6
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Set for every node: it ends with its runner, even when that is killed (see ros/process.py).
PARENT_VARIABLE = "SKETCH_CELL_PARENT"


class NodeDied(SketchCellError):
    """A node of the cell ended by itself."""


class CellProcesses:
    """The processes of one cell; use as a context, at whose end none of them is left."""

    def __init__(
        self,
        nodes: Sequence[NodeSpec],
        *,
        parameter_file: Path,
        log_folder: Path,
        namespace: str = "",
        log_level: str = "info",
        tell: Callable[[str], None] = print,
    ) -> None:
        """`tell` hears of nodes without which the cell goes on."""
        self._nodes = nodes
        self._tell = tell
        self._ended: set[str] = set()
        self._arguments = ["--log-level", log_level, "--params-file", str(parameter_file)]
        self._namespace = namespace.strip("/")
        if self._namespace:
            self._arguments += ["-r", f"__ns:=/{self._namespace}"]
        self.log_folder = log_folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._handlers: dict[signal.Signals, Any] = {}
        self._interrupted = False

    def __enter__(self) -> CellProcesses:
        # A KeyboardInterrupt raised wherever the signal finds us can be lost in a library's callback.
        self._handlers = {number: signal.signal(number, self._interrupt) for number in ENDING_SIGNALS}
        try:
            for node in self._nodes:
                self._processes[node.name] = self._start(node)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self, node: NodeSpec) -> subprocess.Popen[bytes]:
        command = [*_program(node), *node.arguments, "--ros-args", *self._arguments]
        command += node.enclave(self._namespace)
        for name, value in node.parameters.items():
            command += ["-p", f"{name}:={_as_yaml(value)}"]
        for name, other in node.remaps.items():
            command += ["-r", f"{name}:={other}"]
        environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
        with self._log(node.name).open("wb") as log:
            # A session of its own: Ctrl-C reaches the runner alone, which stops the nodes in order.
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def _interrupt(self, *_: object) -> None:
        self._interrupted = True

    def check(self) -> None:
        """Raise `KeyboardInterrupt` after Ctrl-C, `NodeDied` with the name and last words of a node that has ended.

        One that is not required may end well, as a window does; where it fails, that is told once.
        Call it ten times a second: between entering and leaving the context only this reacts to Ctrl-C.
        """
        if self._interrupted:
            raise KeyboardInterrupt
        for node in self._nodes:
            name, status = node.name, self._processes[node.name].poll()
            if status is None or name in self._ended:
                continue
            self._ended.add(name)
            words = f"node {name} ended with status {status}. Its last words:\n{self.last_words(name)}"
            if node.required:
                raise NodeDied(words)
            if status:
                self._tell(f"The cell goes on without one of its nodes: {words}")

    def process_id(self, name: str) -> int:
        """The process of a node."""
        return self._processes[name].pid

    def last_words(self, name: str) -> str:
        """The last lines that a node wrote."""
        lines = self._log(name).read_text(errors="replace").strip().splitlines()
        return "\n".join("  " + line for line in lines[-LAST_WORDS_LINES:]) or "  (none)"

    def stop(self) -> None:
        """Ask every node to end, wait, and kill what is left; a second Ctrl-C does not cut this short."""
        try:
            self._stop()
        finally:
            while self._handlers:
                signal.signal(*self._handlers.popitem())

    def _stop(self) -> None:
        for process in self._processes.values():
            _signal(process, signal.SIGINT)
        deadline_s = time.monotonic() + STOP_WITHIN_S
        for process in self._processes.values():
            try:
                process.wait(max(deadline_s - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                process.wait()

    def _log(self, name: str) -> Path:
        return self.log_folder / f"{name}.log"


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _program(node: NodeSpec) -> list[str]:
    """This package's nodes run in this Python; others are looked for where ROS packages have them."""
    if node.package == PACKAGE:
        return [sys.executable, "-m", f"sketch_cell.nodes.{node.name}"]
    return [str(executable(node.package, node.name))]


def _as_yaml(value: ParameterValue) -> str:
    """A parameter value as `--ros-args -p` reads it: strings quoted, so that no path turns into a number."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
