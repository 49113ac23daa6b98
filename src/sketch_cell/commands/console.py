"""What every command shows a person: one console, one kind of progress bar, quiet when nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

# Reports and bars go to standard error, so that standard output stays clean for --json and pipes.
# Names of files and colours are shown as they are: brackets in them are no markup, :cat: is no emoji.
console = Console(stderr=True, highlight=False, markup=False, emoji=False)


def say(text: str) -> None:
    """Print one sentence; no line ends in the middle of a path."""
    console.print(text, soft_wrap=True)


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
