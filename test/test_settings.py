"""Settings refuse illegal values in words, and keep legal ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest

from sketch_cell.errors import SettingError
from sketch_cell.settings import Settings, setting


@dataclass(frozen=True)
class Example(Settings):
    gain: float = setting(1.0, "how much", unit="m", minimum=0.5, maximum=2.0)
    count: int = setting(3, "how many", minimum=1)
    kind: str = setting("a", "which", choices=("a", "b"))
    on: bool = setting(False, "whether")


def test_a_whole_number_serves_as_a_float():
    assert Example(gain=2).gain == 2.0
    assert type(Example(gain=2).gain) is float


@pytest.mark.parametrize("values", [{"gain": 0.5}, {"gain": 2.0}, {"count": 1}])
def test_the_ends_of_a_range_belong_to_it(values):
    assert dataclasses.asdict(Example(**values)).items() >= values.items()


@dataclass(frozen=True)
class HalfOpen(Settings):
    share: float = setting(0.0, "how much", maximum=1.0)
    free: float = setting(0.0, "anything", read_only=True)


def test_ranges_with_one_end_or_none():
    with pytest.raises(SettingError, match=r"share is 2, but must be at most 1\."):
        HalfOpen(share=2.0)
    with pytest.raises(SettingError, match=r"free is inf, but must be a finite number\."):
        HalfOpen(free=float("inf"))
    assert HalfOpen(share=-1e9, free=1e9).free == 1e9


def test_only_what_is_said_to_be_read_only_is():
    assert [item.metadata["read_only"] for item in dataclasses.fields(HalfOpen)] == [False, True]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"gain": 3.0}, "gain is 3, but must be from 0.5 to 2 m."),
        ({"gain": float("nan")}, "gain is nan"),
        ({"count": 0}, "count is 0, but must be at least 1."),
        ({"count": 1.5}, "count is 1.5, but must be of type int: how many."),
        ({"kind": "c"}, "kind is 'c', but must be one of a, b."),
        ({"on": 1}, "on is 1, but must be of type bool: whether."),
    ],
)
def test_an_illegal_value_is_named_with_what_is_legal(values, words):
    with pytest.raises(SettingError) as caught:
        Example(**values)
    assert str(caught.value).startswith(words)


def test_replace_checks_again():
    with pytest.raises(SettingError):
        dataclasses.replace(Example(), gain=9.0)
