"""Start and stop of a node's process: one way for all nodes, portable over ROS distributions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

# Asked for here, before rclpy reads it: a cell is seen by other hosts only when somebody asks for that.
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from sketch_cell.errors import SketchCellError


def run(make_node: Callable[[], Node]) -> None:
    """Make the node, spin it until Ctrl-C or SIGTERM, and destroy it however it ends.

    Neither signal runs shutdown callbacks, so a node that holds hardware lets go of it in
    `destroy_node`. A `SketchCellError` ends the process with its sentence and exit status.
    """
    rclpy.init()
    node = None
    status = 0
    try:
        node = make_node()
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except SketchCellError as error:
        print(error, file=sys.stderr, flush=True)
        status = error.exit_status
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    sys.exit(status)
