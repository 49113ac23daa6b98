"""The demo waits for all that its report needs, in whatever order it comes."""

import itertools

import numpy as np
import pytest

from sketch_cell.demo import Demo

PICTURE = np.zeros((4, 4), np.uint8)
LAST_WORDS = {
    "trace": lambda seen: setattr(seen, "trace_m", np.zeros((2, 2))),
    "facts": lambda seen: seen.twin_facts.update(width_m="0.153"),
    "glass": lambda seen: seen.pictures.update({"twin/glass": PICTURE}),
    "preview": lambda seen: seen.pictures.update({"line/preview": PICTURE}),
}


class Processes:
    def check(self):
        pass


class DrawnCell:
    """A cell whose drawing is done; what it still has to say comes one by one."""

    def __init__(self, order):
        self.pictures = {"picture/image": PICTURE}
        self.plan_m = np.zeros((2, 2))
        self.status = {"state": "idle", "message": ""}
        self.healthy = {"tip_tracker"}
        self.trace_m, self.twin_facts = None, {}
        self._order = iter(order)

    def spin(self, _seconds):
        LAST_WORDS[next(self._order)](self)

    def ask(self, _service):
        self.status["state"] = "done"
        return lambda: ""


@pytest.mark.parametrize("order", list(itertools.permutations(LAST_WORDS)), ids="-".join)
def test_a_drawing_is_reported_when_all_of_it_was_heard(tmp_path, order):
    cell = DrawnCell(order)
    Demo(tmp_path / "photo.jpg", tmp_path, "closed", shipped=False)._follow(cell, Processes(), tmp_path)
    assert cell.trace_m is not None and cell.twin_facts
    assert {"twin/glass", "line/preview"} <= cell.pictures.keys()
