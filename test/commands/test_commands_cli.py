"""The whole command line: help with an example, version, completion and exit statuses of every command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from sketch_cell import __version__
from sketch_cell.cli import COMMANDS, commands

# What `sketch-cell` does when it is installed, here from the source tree.
PROGRAM = "import sys; sys.argv[0] = 'sketch-cell'; from sketch_cell.cli import main; main()"


def sketch_cell(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    for name in command.list_commands(click.Context(command)):
        inner = command.get_command(click.Context(command), name)
        assert inner is not None
        yield from leaves(inner, (*path, name))


LEAVES = dict(leaves(commands))


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_says_what_it_is_for_and_every_option_what_it_does(name):
    command = LEAVES[name]
    assert command.help and command.help.split("\n")[0].rstrip().endswith((".", ":")), name
    for parameter in command.params:
        if isinstance(parameter, click.Option) and "--output" not in parameter.opts:
            assert parameter.help, f"{name} {parameter.opts[0]}"


@pytest.mark.parametrize("name", LEAVES)
def test_the_example_in_the_help_is_a_command_that_exists(name):
    help_text = LEAVES[name].help or ""
    assert "Example:" in help_text, f"{name} --help shows no example"
    words = help_text.split("Example:")[1].split()
    assert words[: 1 + len(name.split())] == ["sketch-cell", *name.split()]
    known = {option for parameter in LEAVES[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_version():
    assert CliRunner().invoke(commands, ["--version"]).output == f"sketch-cell, version {__version__}\n"


def test_the_first_page_lists_every_command_and_the_exit_statuses():
    output = CliRunner().invoke(commands, ["--help"]).output
    for name in COMMANDS:
        assert f"\n  {name} " in output
    assert "130" in output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_for_the_shell(shell):
    script = sketch_cell(_SKETCH_CELL_COMPLETE=f"{shell}_source")
    assert script.returncode == 0, script.stderr
    assert "_SKETCH_CELL_COMPLETE" in script.stdout


def test_completion_of_commands_and_options():
    asked = {"_SKETCH_CELL_COMPLETE": "bash_complete"}
    commands_found = sketch_cell(**asked, COMP_WORDS="sketch-cell m", COMP_CWORD="1").stdout
    assert commands_found.split() == ["plain,mosaic", "plain,machine"]
    options = sketch_cell(**asked, COMP_WORDS="sketch-cell doctor --js", COMP_CWORD="2").stdout
    assert options.split() == ["plain,--json"]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--help"], 0),
        (["machine", "check", "--help"], 0),
        (["draw-me"], 2),
        (["linify", "--no-such-option", "a.jpg"], 2),
        (["linify", "/nowhere/at-all.jpg"], 2),
        (["machine", "check", "--port", "/dev/nowhere"], 2),
    ],
)
def test_exit_statuses_without_a_traceback(words, status):
    ended = sketch_cell(*words)
    assert ended.returncode == status, ended.stderr
    assert "Traceback" not in ended.stderr
    assert bool(ended.stderr) is bool(status)
    assert "\x1b" not in ended.stdout + ended.stderr, "quiet where nobody watches"
