"""What every command shows a person: one console, one kind of progress bar, quiet when nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

# Reports and bars go to standard error, so that standard output stays clean for --json and pipes.
console = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Print one sentence as it is: names in it are neither markup nor emoji, and a line is not cut in a path."""
    console.print(text, markup=False, emoji=False, soft_wrap=True)


@contextmanager
def progress(description: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show a progress bar while the block runs; call the yielded function with what was added."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
    )
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True
    ) as bar:
        task = bar.add_task(description, total=total)
        yield lambda amount: bar.advance(task, amount)
