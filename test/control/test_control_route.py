"""The route: its parts, and what cutting it leaves as it was."""

import numpy as np
import pytest

from sketch_cell.control.route import route


def test_cutting_adds_vertices_and_changes_nothing_else() -> None:
    way = route(np.array([[0.0, 0.0], [0.01, 0.0], [0.01, 0.0011], [0.004, 0.0011]]), 0.0, 0.0)
    cut = way.cut(0.0025)
    assert np.diff(cut.along_m).max() <= 0.0025 + 1e-12
    assert cut.along_m == pytest.approx(
        np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(cut.xy_m, axis=0).T))])
    )
    corners = np.searchsorted(cut.along_m, way.along_m - 1e-9)
    assert cut.xy_m[corners] == pytest.approx(way.xy_m)
    assert (cut.side[corners] == way.side).all()
    assert (cut.reversals == way.reversals).all()
    assert len(way.cut(1.0).xy_m) == len(way.xy_m)
