"""Start and stop of a node's process: one way for all nodes, portable over ROS distributions."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Asked for here, before rclpy reads it: a cell is seen by other hosts only when somebody asks for that.
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.task import Future

from sketch_cell.errors import InputError, SketchCellError
from sketch_cell.runner import ENDING_SIGNALS, PARENT_VARIABLE

PR_SET_PDEATHSIG = 1  # prctl(2)
LOOK_S = 60.0
STDERR = 2  # file descriptor


def run(make_node: Callable[[], Node], *, by_events: bool = True) -> None:
    """Make the node, spin it until Ctrl-C or SIGTERM, and destroy it however it ends.

    `by_events` takes the events executor where this rclpy has one (7.1.4 and later): the usual one looks at all that
    a node has for each message, most of the time of an idle cell. It knows neither callback groups nor coroutines.

    Neither signal runs shutdown callbacks, so a node that holds hardware lets go of it in
    `destroy_node`. A `SketchCellError` ends the process with its sentence and exit status, as does a parameter that
    rclpy refuses.
    """
    _end_with_runner()
    stderr = _interrupt_quietly()
    rclpy.init()
    node = None
    status = 0
    try:
        node = make_node()
        if by_events:
            _spin_by_events(node)
        else:
            rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # A signal while the node was being made: what it asked for next had no context any more.
        if rclpy.ok():
            raise
    except ParameterException as error:
        print(error, file=sys.stderr, flush=True)
        status = InputError.exit_status
    except SketchCellError as error:
        print(error, file=sys.stderr, flush=True)
        status = error.exit_status
    finally:
        _ignore_signals()
        os.dup2(stderr, STDERR)
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()  # puts the signals' former handlers back
        _ignore_signals()
    sys.exit(status)


def _spin_by_events(node: Node) -> None:
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        rclpy.spin(node)
        return
    executor = EventsExecutor()
    executor.add_node(node)
    never: Future[None] = Future()
    # Not spin(): in builds for old C libraries its endless wait is over at once, and a core is busy with it.
    while rclpy.ok():
        executor.spin_until_future_complete(never, timeout_sec=LOOK_S)


def _interrupt_quietly() -> int:
    """Have an ending signal silence standard error and interrupt; returns a copy of the open stream, to put back after.

    rclpy's executors tell of the interrupt of a callback as of a fatal error, with its traceback. SIGTERM (of
    `ros2 launch` after 5 s, containers, systemd) would by itself only shut rclpy down: a callback amid its work then
    fails at the next message.
    """
    copy = os.dup(STDERR)
    for number in ENDING_SIGNALS:
        signal.signal(number, _interrupt)
    return copy


class _Interrupt:
    """What Ctrl-C and SIGTERM do to a node's process, where `uninterrupted` does not hold them back."""

    def __init__(self) -> None:
        self.held = self.waiting = False

    def __call__(self, *_: object) -> None:
        if self.held:
            self.waiting = True
            return
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, STDERR)
        os.close(nothing)
        raise KeyboardInterrupt


_interrupt = _Interrupt()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block ends: for a short piece of work that half done would be spoilt."""
    _interrupt.held = True
    try:
        yield
    finally:
        _interrupt.held = False
    if _interrupt.waiting:
        _interrupt.waiting = False
        _interrupt()


def _ignore_signals() -> None:
    """ros2 launch and the terminal both send Ctrl-C: the second must not cut the release of hardware short."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end_with_runner() -> None:
    """Have the kernel end this process when the runner that started it is gone, however that ended."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None:
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(1)
