"""Command-line options made from a settings class, so that both always agree.

Lengths and speeds are typed in millimetres: a field `line_width_m` becomes `--line-width-mm`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from sketch_cell.errors import InputError
from sketch_cell.settings import Settings

S = TypeVar("S", bound=Settings)
F = TypeVar("F", bound=Callable[..., Any])

# Typed suffix for each SI suffix whose natural size on this machine is the millimetre.
MILLIMETRE_SUFFIX = {"_m": "_mm", "_m_per_s": "_mm_per_s", "_m_per_s2": "_mm_per_s2"}


class FloatRange(click.FloatRange):
    """click's, but `nan` and `inf` are in no range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or click's usual error."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def settings_options(
    kind: type[Settings], *, prefix: str = "", leave_out: tuple[str, ...] = (), defaults: bool = True
) -> Callable[[F], F]:
    """Decorate a click command with one option per field of `kind` (see `settings_from`).

    Without `defaults` an option that is not typed is None, for commands that have them from elsewhere
    (see `settings_over`). An `InputError` of the command names the options as they are typed.
    """

    def decorate(function: F) -> F:
        function = _naming_options(function, kind, prefix)
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


def _flag(prefix: str, name: str) -> str:
    return "--" + (prefix + _typed_name(name)[0]).replace("_", "-")


def _naming_options(function: F, kind: type[Settings], prefix: str) -> F:
    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except InputError as error:
            text = str(error)
            for item in dataclasses.fields(kind):
                if options.get(prefix + _typed_name(item.name)[0]) is None:
                    continue  # the value came from a file, which has the name as it is
                # A name of one word may be an ordinary word of the sentence, unless the sentence begins with it
                # or with a file of that name.
                place = rf"\b{item.name}\b" if "_" in item.name else rf"^{item.name}(?= )"
                text = re.sub(place, _flag(prefix, item.name), text)
            raise type(error)(text) from error

    return call  # type: ignore[return-value]


def _option(item: dataclasses.Field[Any], prefix: str, defaults: bool) -> Callable[[F], F]:
    typed, scale = _typed_name(item.name)
    kind = _option_type(item, scale)
    default = _in_typed_unit(item.default, scale) if defaults else None
    unit = item.metadata["unit"]
    unit = unit.replace("m", "mm", 1) if scale != 1.0 else unit
    help_text = item.metadata["description"] + (f" [{unit}]" if unit else "")
    flag = _flag(prefix, item.name)
    name = prefix + typed
    if kind is bool:
        return click.option(
            f"{flag}/--no-{flag[2:]}", name, default=default, show_default=defaults, help=help_text
        )
    return click.option(flag, name, type=kind, default=default, show_default=defaults, help=help_text)


def _option_type(item: dataclasses.Field[Any], scale: float) -> Any:
    if item.metadata["choices"]:
        return click.Choice(item.metadata["choices"])
    low, high = (item.metadata[bound] for bound in ("minimum", "maximum"))
    if type(item.default) not in (int, float) or (low is None and high is None):
        return type(item.default)
    low, high = (None if bound is None else _in_typed_unit(bound, scale) for bound in (low, high))
    return FloatRange(low, high) if type(item.default) is float else click.IntRange(low, high)


def _in_typed_unit(value: Any, scale: float) -> Any:
    """A value [SI] in the unit that is typed, without the digits of the division."""
    value = value / scale if scale != 1.0 else value
    return float(f"{value:.9g}") if isinstance(value, float) else value
