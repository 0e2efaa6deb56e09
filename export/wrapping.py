"""Foreign graphs wrapped to a bundle's contract: uint8 images in, unit embeddings out, any batch size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes
from onnx_ir.tape import Tape

from vitreid.export.original import Original
from vitreid.export.pixels import Pixels

EPSILON = 1e-12
MAX_AXES = 16
OLDEST_IR = 8  # from 4 on weights need not be inputs, which cannot be folded


def wrap(original: Original, form: str, dimension: int) -> onnx.ModelProto:
    """Put preprocessing before the original and the norm after it; make its batch dynamic by one of FORMS."""
    model = ir.from_proto(original.proto)
    passes.RemoveInitializersFromInputsPass()(model)
    graph = model.graph
    if "ai.onnx" in graph.opset_imports:  # the long name of the same operators
        graph.opset_imports[""] = graph.opset_imports.pop("ai.onnx")
    graph.outputs[:] = [value for value in graph.outputs if value.name == original.output]
    graph.inputs[0].shape = ir.Shape([1, *original.pixels.axes(original.image)])
    FORMS[form](graph)
    tape = Tape()
    spec = original.image
    images = ir.val("images", ir.DataType.UINT8, ["batch", spec.height, spec.width, 3])
    embeddings = _unit(tape, graph.outputs[0], graph.opset_imports[""])
    graph.inputs[0].replace_all_uses_with(_prepared(tape, images, original.pixels))
    graph.inputs[:] = [images]
    graph.extend(_named(tape, "around"))
    embeddings.name = "embeddings"
    embeddings.dtype = ir.DataType.FLOAT
    embeddings.shape = ir.Shape(["batch", dimension])
    graph.outputs[:] = [embeddings]
    graph.sort()
    passes.RemoveUnusedNodesPass()(model)
    passes.NameFixPass()(model)  # the original may have its own `images` and `embeddings`
    model.ir_version = max(model.ir_version, OLDEST_IR)
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]  # shapes with the batch size that it was exported with
    return proto


def leave(graph: ir.Graph) -> None:
    """Leave a graph whose batch axis is dynamic."""


def keep_batch(graph: ir.Graph) -> None:
    """Free the batch axis in reshapes to the exported batch size, and repeat constants such as class tokens.

    Enough for most CNNs and Vision Transformers.
    """
    [batch] = graph.inputs
    moving = {batch}  # values that depend on the images
    tape = Tape()
    for node in graph:
        fixed = [index for index, value in enumerate(node.inputs) if value not in moving]
        if len(fixed) == len(node.inputs):
            continue
        moving |= set(node.outputs)
        if node.op_type == "Reshape":
            _free_first(tape, node)
        elif node.op_type == "Concat" and node.attributes["axis"].as_int() != 0:
            for index in fixed:
                node.replace_input_with(index, _repeated(tape, node.inputs[index], batch))
    graph.extend(_named(tape, "batched"))
    graph.sort()


def _free_first(tape: Tape, reshape: ir.Node) -> None:
    """Free the length of the first axis: the batch, or the batch times the heads."""
    target = ir.convenience.get_const_tensor(reshape.inputs[1]) if reshape.inputs[1] else None
    if target is not None and target.size:
        sizes = target.numpy()
        first = 0 if -1 in sizes[1:] else -1  # -1 can stand only once; 0: as many as come in
        reshape.replace_input_with(1, _constant(tape, np.array([first, *sizes[1:]], dtype=np.int64)))
        reshape.attributes.pop("allowzero", None)


def _repeated(tape: Tape, constant: ir.Value | None, batch: ir.Value) -> ir.Value:
    """Repeat a constant of shape (1, ...) for each image."""
    size = tape.op("Gather", [tape.op("Shape", [batch]), _constant(tape, np.array([0]))], {"axis": 0})
    rest = [_constant(tape, np.array([limit])) for limit in (1, MAX_AXES)]
    others = tape.op("Slice", [tape.op("Shape", [constant]), *rest])
    return tape.op("Expand", [constant, tape.op("Concat", [size, others], {"axis": 0})])


def run_one_by_one(graph: ir.Graph) -> None:
    """Move all operators into a Scan over the batch: right for any graph that is right for one image."""
    [batch], [given] = graph.inputs, graph.outputs
    assert batch.shape is not None  # `wrap` has set it
    nodes = list(graph)
    graph.remove(nodes)
    tape = Tape()
    axes = batch.shape.numpy()[1:]
    image = ir.val("image", batch.dtype, axes)
    alone = tape.op("Reshape", [image, _constant(tape, np.array([1, *axes]))])
    row = tape.op("Reshape", [given, _constant(tape, np.array([-1]))])
    row.type = given.type
    batch.replace_all_uses_with(alone)
    body = ir.Graph([image], [row], nodes=[*nodes, *_named(tape, "inside")], name="image_by_image")
    body.sort()
    scan = ir.node("Scan", [batch], {"body": body, "num_scan_inputs": 1})
    graph.append(scan)
    [rows] = scan.outputs
    rows.name, rows.type = "rows", given.type
    graph.outputs[:] = [rows]


def _prepared(tape: Tape, images: ir.Value, pixels: Pixels) -> ir.Value:
    """Compute Pixels.prepared by operators."""
    value = images
    if pixels.dtype is not np.uint8:  # cast first: TensorRT knows uint8 only as an input
        value = tape.op("Cast", [value], {"to": ir.DataType.FLOAT})
    if pixels.color == "BGR":
        value = tape.op("Gather", [value, _constant(tape, np.array([2, 1, 0]))], {"axis": 3})
    if pixels.dtype is not np.uint8:
        mean, std = (np.float32(np.multiply(each, pixels.scale)) for each in (pixels.mean, pixels.std))
        value = tape.op("Sub", [value, _constant(tape, mean)])
        value = tape.op("Div", [value, _constant(tape, std)])
    if pixels.dtype is np.float16:
        value = tape.op("Cast", [value], {"to": ir.DataType.FLOAT16})
    if pixels.layout == "NCHW":
        value = tape.op("Transpose", [value], {"perm": [0, 3, 1, 2]})
    if pixels.dtype is np.float16:
        # Only makes onnxruntime compute with halves: on a CPU it would drop casts there and back.
        value = tape.op("Reshape", [value, _constant(tape, np.array([0, 0, 0, 0]))])
    return value


def _unit(tape: Tape, value: ir.Value, opset: int) -> ir.Value:
    """Return rows (B, D) of unit length, from (B, D) or (B, D, 1, 1)."""
    rows = tape.op("Flatten", [value], {"axis": 1})  # before the cast, see above
    if value.dtype != ir.DataType.FLOAT:
        rows = tape.op("Cast", [rows], {"to": ir.DataType.FLOAT})
    if opset < 18:
        norm = tape.op("ReduceL2", [rows], {"axes": [1], "keepdims": 1})
    else:
        norm = tape.op("ReduceL2", [rows, _constant(tape, np.array([1]))], {"keepdims": 1})
    return tape.op("Div", [rows, tape.op("Max", [norm, _constant(tape, np.float32(EPSILON))])])


def _named(tape: Tape, name: str) -> Sequence[ir.Node]:
    """Name the outputs of a tape's nodes, uniquely across graph and subgraph."""
    for number, node in enumerate(tape.nodes):
        node.outputs[0].name = f"{name}_{number}"
    return tape.nodes


def _constant(tape: Tape, value: np.generic | np.ndarray) -> ir.Value:
    return tape.op("Constant", [], {"value": ir.tensor(value)})


FORMS: dict[str, Callable[[ir.Graph], None]] = {
    "dynamic": leave,
    "made dynamic": keep_batch,
    "one by one": run_one_by_one,
}
"""Conversions to a dynamic batch, the fastest first; a run shows which is right."""
