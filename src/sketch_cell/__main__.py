"""`python -m sketch_cell` is `sketch-cell`."""

from sketch_cell.cli import main

main()
