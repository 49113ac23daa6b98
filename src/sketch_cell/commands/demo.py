"""`sketch-cell demo`: a photo becomes a finished drawing on the simulated toy, all nodes included."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from sketch_cell.bringup import LOOPS, CellSettings, cell_nodes, cell_view_url, parameter_file
from sketch_cell.commands.console import say


@click.command()
@click.argument("photo", required=False, type=click.Path(path_type=Path))
@click.option(
    "--loop", type=click.Choice(list(LOOPS)), default="closed", show_default=True, help="How it is kept true."
)
@click.option("--output", type=click.Path(path_type=Path), default=Path("output"), show_default=True)
@click.option("--params-file", default="", help="Parameters of all nodes instead of config/twin.yaml.")
@click.option("--record", default="", help="Folder to make for a recording of all topics (see replay).")
@click.option("--view", is_flag=True, help="Show it live in a browser.")
def demo(photo: Path | None, loop: str, output: Path, params_file: str, record: str, view: bool) -> None:
    """Draw PHOTO (by default a portrait that scikit-image ships) on the simulated toy.

    Leaves pictures, plan and report.json in OUTPUT/<photo name>/.

    Example: sketch-cell demo holiday.jpg --loop open
    """
    # ROS is imported only now, so that --help and wrong options answer at once.
    from sketch_cell.demo import Demo, default_photo
    from sketch_cell.picture.source import PictureSettings, load_photo_file

    if photo is not None:
        load_photo_file(photo, PictureSettings().max_megapixels)
    with tempfile.TemporaryDirectory(prefix="sketch-cell-") as folder:
        work_folder = Path(folder)
        drawn = photo if photo is not None else default_photo(work_folder)
        cell = CellSettings(
            photo=str(drawn.resolve()), loop=loop, params_file=params_file, record=record, view=view
        )
        nodes = cell_nodes(cell, work_folder=work_folder)
        if view:
            say(f"Live view: {cell_view_url(cell)}")
        Demo(drawn, output, loop, shipped=photo is None).run(nodes, parameter_file(cell))
