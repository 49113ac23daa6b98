"""Start and stop of a node's process: one way for all nodes, portable over ROS distributions."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

# Asked for here, before rclpy reads it: a cell is seen by other hosts only when somebody asks for that.
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from sketch_cell.errors import SketchCellError
from sketch_cell.runner import PARENT_VARIABLE

PR_SET_PDEATHSIG = 1  # prctl(2)


def run(make_node: Callable[[], Node]) -> None:
    """Make the node, spin it until Ctrl-C or SIGTERM, and destroy it however it ends.

    Neither signal runs shutdown callbacks, so a node that holds hardware lets go of it in
    `destroy_node`. A `SketchCellError` ends the process with its sentence and exit status.
    """
    _end_with_runner()
    rclpy.init()
    node = None
    status = 0
    try:
        node = make_node()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:
        # A signal while the node was being made: what it asked for next had no context any more.
        if rclpy.ok():
            raise
    except SketchCellError as error:
        print(error, file=sys.stderr, flush=True)
        status = error.exit_status
    finally:
        _ignore_signals()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()  # puts the signals' former handlers back
        _ignore_signals()
    sys.exit(status)


def _ignore_signals() -> None:
    """ros2 launch and the terminal both send Ctrl-C: the second must not cut the release of hardware short."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _end_with_runner() -> None:
    """Have the kernel end this process when the runner that started it is gone, however that ended."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None:
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(1)
