"""The deblocking network in onnxruntime, from the graph shipped with the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from sketch_cell.picture.weights import (
    BETWEEN,
    FOLDER,
    Floats,
    WeightSets,
    dilations_run,
    has_table,
    padded,
    pixels_of_cells,
    whole_tables,
)

Window = NDArray[np.uint8]


def network(sets: WeightSets, arrays: list[Floats], layout: str = "fast") -> Callable[[Window], Floats]:
    """The network with these arrays as a function of one window (h, w, 3) -> its change (h - 2 m, w - 2 m, 3) [levels],
    not held yet."""
    return running(FOLDER / f"{layout}.onnx", graph_values(arrays), sets, arrays)


def running(
    graph: Path,
    values: Mapping[str, NDArray[Any]],
    sets: WeightSets,
    arrays: list[Floats],
    settings: Mapping[str, str] | None = None,
) -> Callable[[Window], NDArray[Any]]:
    """The graph in a file, with its initialisers, the bias tables of `arrays` and further `settings` of a session, as a
    function of one window."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # A node waits between pictures; its threads must not spin meanwhile.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, value in (settings or {}).items():
        options.add_session_config_entry(name, value)
    # onnxruntime reads the initialisers from these objects, so they live as long as the session.
    held = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in values.items()}
    # `add_initializer` would silently leave weights that the graph holds itself as they are.
    options.add_external_initializers(list(held), list(held.values()))
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    @lru_cache(maxsize=1)
    def tables(size: tuple[int, ...]) -> dict[str, Floats]:
        return {f"table{n}": table for n, table in whole_tables(arrays, size, sets).items()}

    def run(window: Window, _held: object = held) -> NDArray[Any]:
        return np.asarray(session.run(None, {"window": window, **tables(window.shape)})[0])

    return run


def graph_values(arrays: list[Floats]) -> dict[str, Floats]:
    """The graph's initialisers: the first kernel becomes one of stride 2 on pixels, biases become vectors."""
    kernels, biases = arrays[::2], arrays[1::2]
    values = {f"kernel{n}": kernel for n, kernel in enumerate(kernels)}
    values["kernel0"] = pixels_of_cells(kernels[0])
    values |= {f"bias{n}": bias[:, 0, 0] for n, bias in enumerate(biases) if not has_table(bias)}
    return {name: np.ascontiguousarray(value) for name, value in values.items()}


def write_graph(path: Path, sets: WeightSets) -> None:
    """Write the graph for weights shaped as these, which it names but does not hold.

    Writing needs the package `onnx`; running it does not.
    """
    from onnx import helper, numpy_helper

    arrays, dilations = padded(sets.at(0.0)), dilations_run(sets)
    cut = sum(dilations[n] * (arrays[2 * n].shape[-1] - 1) // 2 for n in BETWEEN)
    constants = {"first": np.array([0])}
    if sets.rounds > 1:
        constants |= {
            "starts": np.array([cut, cut]),
            "ends": np.array([-cut, -cut]),
            "axes": np.array([2, 3]),
        }
    nodes = picture_of_window()

    def convolution(n: int, before: str) -> str:
        """Convolution number `n` in turn; returns the name of what comes out."""
        is_table = has_table(arrays[2 * n + 1])
        names = [before, f"kernel{n}"] if is_table else [before, f"kernel{n}", f"bias{n}"]
        strides = [sets.unshuffle if n == 0 else 1] * 2
        after = f"plain{n}" if is_table else f"sum{n}"
        nodes.append(helper.make_node("Conv", names, [after], strides=strides, dilations=[dilations[n]] * 2))
        if is_table:
            nodes.append(helper.make_node("Add", [after, f"table{n}"], [f"sum{n}"]))
        return f"sum{n}"

    def active(planes: str) -> str:
        nodes.append(helper.make_node("Relu", [planes], [f"active_{planes}"]))
        return f"active_{planes}"

    planes = convolution(0, "picture")
    for turn in range(sets.rounds):
        found = planes
        for layer in BETWEEN:
            found = convolution(3 * turn + layer, active(found))
        if sets.rounds > 1:
            given = f"given{turn}"
            nodes.append(helper.make_node("Slice", [planes, "starts", "ends", "axes"], [given]))
            nodes.append(helper.make_node("Add", [found, given], [f"round{turn}"]))
            found = f"round{turn}"
        planes = found
    planes = convolution(len(dilations) - 1, active(planes))
    nodes += [
        helper.make_node("DepthToSpace", [planes], ["change_by_plane"], blocksize=sets.unshuffle, mode="CRD"),
        helper.make_node("Squeeze", ["change_by_plane", "first"], ["single"]),
        helper.make_node("Transpose", ["single"], ["change"], perm=[1, 2, 0]),
    ]
    graph_with(
        path,
        nodes,
        inputs={"window": (np.uint8, ["height", "width", 3])}
        | {
            f"table{n}": (np.float32, [1, len(bias), f"rows{n}", f"columns{n}"])
            for n, bias in enumerate(arrays[1::2])
            if has_table(bias)
        },
        output=("change", np.float32, ["inner_height", "inner_width", 3]),
        initialisers=[numpy_helper.from_array(value, name) for name, value in constants.items()]
        + [named_only(name, value) for name, value in graph_values(arrays).items()],
    )


def picture_of_window() -> list[Any]:
    """The nodes that make floats by plane, named `picture`, of a window's bytes; they take a constant named `first`."""
    from onnx import TensorProto, helper

    return [
        helper.make_node("Cast", ["window"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["levels"], ["levels_by_plane"], perm=[2, 0, 1]),
        helper.make_node("Unsqueeze", ["levels_by_plane", "first"], ["picture"]),
    ]


def graph_with(
    path: Path,
    nodes: list[Any],
    inputs: Mapping[str, tuple[type, list[Any]]],
    output: tuple[str, type, list[Any]],
    initialisers: list[Any],
) -> None:
    """Write a graph of these nodes; inputs and output with their types and sizes, numbers or names."""
    from onnx import helper

    def value(name: str, kind: type, size: list[Any]) -> Any:
        return helper.make_tensor_value_info(name, _element_type(kind), size)

    given = [value(name, *shape) for name, shape in inputs.items()]
    graph = helper.make_graph(nodes, "sketch_cell_deblock", given, [value(*output)], initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def named_only(name: str, value: NDArray[Any]) -> Any:
    """A weight's name and shape; its numbers come with each session."""
    from onnx import TensorProto

    tensor = TensorProto(name=name, dims=value.shape, data_type=_element_type(value.dtype))
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="given_by_the_session")
    return tensor


def _element_type(kind: Any) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(kind)))
