"""`sketch-cell record`: all that a running cell says, kept in a bag."""

from __future__ import annotations

import time
from pathlib import Path

import click

from sketch_cell.bringup import CellSettings
from sketch_cell.commands.console import console


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder to make; by default recording-<time>.")
@click.option("--topic", "topics", multiple=True, help="Record only this topic; may be given several times.")
@click.option("--namespace", default="", help="Record the cell of this namespace, not all of the domain.")
def record(out: Path | None, topics: tuple[str, ...], namespace: str) -> None:
    """Record a running cell until Ctrl-C, as a bag for `sketch-cell replay`, `ros2 bag` and Foxglove.

    Example: sketch-cell record --out monday
    """
    from sketch_cell.ros.bag import check_mcap
    from sketch_cell.ros.bag_writer import check_new

    cell = CellSettings(namespace=namespace)
    folder = out or Path(f"recording-{time.strftime('%Y-%m-%d-%H%M%S')}")
    check_mcap()
    check_new(folder)
    from sketch_cell.nodes.recorder import run_recorder

    console.print(f"Recording to {folder}/. Ctrl-C ends it.")
    run_recorder(folder, topics, cell.namespace)
