"""`sketch-cell doctor`: whether this computer can run a cell, and what to do where it cannot."""

from __future__ import annotations

import json
import os

import click

from sketch_cell import __version__
from sketch_cell.doctor.examine import Check, as_json, checks, examine
from sketch_cell.doctor.finding import Finding, State

COLOURS = {State.OK: "green", State.WARNING: "yellow", State.MISSING: "red"}


@click.command()
@click.option("--port", default="", help="serial port that must work, such as /dev/ttyUSB0")
@click.option("--camera", default="", help="camera that must work, such as /dev/video0")
@click.option("--json", "as_text", is_flag=True, help="Print all findings as JSON instead.")
@click.pass_context
def doctor(context: click.Context, port: str, camera: str, as_text: bool) -> None:
    """Look at everything that a cell needs of this computer; each line is ok, or says what to do.

    Nothing is changed, nothing moves and no serial port is opened. Without --port and --camera their absence is
    a warning: the simulated toy needs neither. Exit 0 where nothing essential is missing, else 1.

    Example: sketch-cell doctor --port /dev/ttyUSB0 --camera /dev/video0
    """
    wanted = checks(port, camera)
    findings = _in_json(wanted) if as_text else _in_lines(wanted)
    context.exit(int(any(finding.state is State.MISSING for finding in findings)))


def _in_json(wanted: tuple[Check, ...]) -> list[Finding]:
    findings = list(examine(wanted))
    fine = all(finding.state is not State.MISSING for finding in findings)
    report = {"version": __version__, "ready": fine, "findings": json.loads(as_json(findings))}
    click.echo(json.dumps(report, indent=2))
    return findings


def _in_lines(wanted: tuple[Check, ...]) -> list[Finding]:
    """Each finding as soon as it is there. The report is what was asked for: it goes to standard output."""
    findings = []
    for finding in examine(wanted):
        findings.append(finding)
        click.echo(_line(finding), color=_is_coloured())
    click.echo(_verdict(findings))
    return findings


def _is_coloured() -> bool | None:
    """As rich decides it for other commands; the doctor must be able to say that rich is missing."""
    return False if os.environ.get("NO_COLOR") else True if os.environ.get("FORCE_COLOR") else None


def _line(finding: Finding) -> str:
    line = click.style(f"{finding.state.value:<8}", COLOURS[finding.state])
    line += f" {finding.check:<14} {finding.text}"
    return line + (f"\n{'':<24}-> {finding.remedy}" if finding.remedy else "")


def _verdict(findings: list[Finding]) -> str:
    count = sum(finding.state is State.MISSING for finding in findings)
    if count:
        return (
            f"{count} essential {'thing is' if count == 1 else 'things are'} missing: begin with the first."
        )
    warnings = sum(finding.state is State.WARNING for finding in findings)
    words = {0: "", 1: ", with 1 warning"}.get(warnings, f", with {warnings} warnings")
    return f"A cell can run here{words}."
