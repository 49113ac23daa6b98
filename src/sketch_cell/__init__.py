"""sketch_cell: a robot cell that turns a photo into something a machine makes."""

__version__ = "0.1.0"
