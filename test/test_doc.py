"""Every command, option, file and make target that the documentation names exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from sketch_cell.cli import commands

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    page
    for page in [*ROOT.glob("*.md"), *(ROOT / "doc").glob("*.md"), *(ROOT / ".github").rglob("*.md")]
    if page.name != "CHANGELOG.md"
]
LINK = re.compile(r"\]\(([^)#\s]+)\)")
MAKE = re.compile(r"(?:^|[`|])\s*make ([a-z-]+)", re.MULTILINE)
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def command_lines(text: str) -> list[list[str]]:
    """The words of every sketch-cell command line in fenced blocks and in `code` that begins with it."""
    lines = [line for block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`((?:\.venv/bin/)?sketch-cell [^`]*)`", FENCE.sub("", text))
    words = [shlex.split(line, comments=True) for line in lines if "sketch-cell" in line and "'" not in line]
    return [line[1:] for line in words if line and line[0].split("/")[-1] == "sketch-cell"]


def check(words: list[str]) -> None:
    """Walk the groups, then look at the options; `...` and `|` in prose stand for more."""
    command: click.Command = commands
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        names = words.pop(0).split("|")
        found = [command.get_command(context, name) for name in names]
        assert all(found), f"there is no command {names}"
        command = found[0]  # type: ignore[assignment]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    known |= {"--help", "-h"}
    for word in words:
        if word in ("|", ">"):
            break
        if word.startswith("--"):
            assert word.split("=")[0] in known, f"{command.name} has no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_only_what_exists(page):
    text = page.read_text(encoding="utf-8")
    for words in command_lines(text):
        check(list(words))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in MAKE.findall(text):
        assert target in targets, f"{page.name}: make {target}"
    for link in LINK.findall(text):
        if not link.startswith(("http", "mailto")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_there_are_pages_and_commands_to_check():
    assert {"README.md", "hardware.md", "CONTRIBUTING.md"} <= {page.name for page in PAGES}
    assert sum(len(command_lines(page.read_text())) for page in PAGES) > 8


@pytest.mark.parametrize(
    "line",
    ["sketch-cell linify --no-such-thing a.jpg", "sketch-cell nothing", "sketch-cell machine look --port x"],
)
def test_a_wrong_command_is_found(line):
    with pytest.raises(AssertionError):
        check(command_lines(f"```\n{line}\n```")[0])
