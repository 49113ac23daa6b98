"""Command-line options made from a settings class, so that both always agree.

Lengths and speeds are typed in millimetres: a field `line_width_m` becomes `--line-width-mm`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from sketch_cell.settings import Settings

S = TypeVar("S", bound=Settings)
F = TypeVar("F", bound=Callable[..., Any])

# Typed suffix for each SI suffix whose natural size on this machine is the millimetre.
MILLIMETRE_SUFFIX = {"_m": "_mm", "_m_per_s": "_mm_per_s", "_m_per_s2": "_mm_per_s2"}


def settings_options(
    kind: type[Settings], *, prefix: str = "", leave_out: tuple[str, ...] = (), defaults: bool = True
) -> Callable[[F], F]:
    """Decorate a click command with one option per field of `kind` (see `settings_from`).

    Without `defaults` an option that is not typed is None, for commands that have them from elsewhere
    (see `settings_over`).
    """

    def decorate(function: F) -> F:
        for item in reversed(dataclasses.fields(kind)):
            if item.name not in leave_out:
                function = _option(item, prefix, defaults)(function)
        return function

    return decorate


def settings_from(kind: type[S], options: Mapping[str, Any], *, prefix: str = "") -> S:
    """Build `kind` from click's keyword arguments, back in SI units; raises `SettingError`."""
    return kind(**_values(kind, options, prefix))


def settings_over(base: S, options: Mapping[str, Any], *, prefix: str = "") -> S:
    """`base` with what was typed in its place; raises `SettingError`."""
    return dataclasses.replace(base, **_values(type(base), options, prefix))


def _values(kind: type[Settings], options: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Field -> value [SI] of every option that is not None."""
    values = {}
    for item in dataclasses.fields(kind):
        typed, scale = _typed_name(item.name)
        value = options.get(prefix + typed)
        if value is not None:
            values[item.name] = value * scale if scale != 1.0 else value
    return values


def _typed_name(name: str) -> tuple[str, float]:
    """Name and scale (SI per typed unit) under which a field is typed on the command line."""
    for suffix in sorted(MILLIMETRE_SUFFIX, key=len, reverse=True):
        if name.endswith(suffix):
            return name[: -len(suffix)] + MILLIMETRE_SUFFIX[suffix], 1e-3
    return name, 1.0


def _option(item: dataclasses.Field[Any], prefix: str, defaults: bool) -> Callable[[F], F]:
    typed, scale = _typed_name(item.name)
    kind: Any = click.Choice(item.metadata["choices"]) if item.metadata["choices"] else type(item.default)
    default = _typed_default(item.default, scale) if defaults else None
    unit = item.metadata["unit"]
    unit = unit.replace("m", "mm", 1) if scale != 1.0 else unit
    help_text = item.metadata["description"] + (f" [{unit}]" if unit else "")
    flag = "--" + (prefix + typed).replace("_", "-")
    name = prefix + typed
    if kind is bool:
        return click.option(
            f"{flag}/--no-{flag[2:]}", name, default=default, show_default=defaults, help=help_text
        )
    return click.option(flag, name, type=kind, default=default, show_default=defaults, help=help_text)


def _typed_default(default: Any, scale: float) -> Any:
    """A default [SI] in the unit that is typed, without the digits of the division."""
    default = default / scale if scale != 1.0 else default
    return float(f"{default:.9g}") if isinstance(default, float) else default
