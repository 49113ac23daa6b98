"""What every command shows a person: one console, one kind of progress bar, quiet when nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

# Reports and bars go to standard error, so that standard output stays clean for --json and pipes.
console = Console(stderr=True, highlight=False)


@contextmanager
def progress(description: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show a progress bar while the block runs; call the yielded function with what was added."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal, transient=True
    ) as bar:
        task = bar.add_task(description, total=total)
        yield lambda amount: bar.advance(task, amount)
