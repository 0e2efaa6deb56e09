"""Bundles from models trained elsewhere, after a check that embeddings equal those of the original."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from pydantic import JsonValue

from vitreid.bundle import Bundle, BundleError, OutputSpec, Parity
from vitreid.bundle.checksum import sha256_of
from vitreid.bundle.run import open_session
from vitreid.export.closeness import BATCHES, batches, compare
from vitreid.export.errors import AdoptionError
from vitreid.export.original import Original, run_graph
from vitreid.export.tolerance import TOLERANCES
from vitreid.export.wrapping import FORMS, wrap

MIN_IMAGES = sum(BATCHES[:3])
"""Enough for batches of one, a few and many images."""
SAME = TOLERANCES["fp32"]
"""Tolerance between runs of the same graph, in any precision."""
INT8_OPERATORS = {"QuantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv"}
PRECISIONS = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}


def adopt(
    original: Original, out: Path, images: NDArray[np.uint8], *, parity_data: str, name: str | None = None
) -> Bundle:
    """Write a bundle whose embeddings of `images` (N, H, W, 3) are the original's, in batches of any size.

    `parity_data` describes the images in the manifest.

    Raises AdoptionError, and writes nothing, if the original's embeddings are invalid or change with the batch.
    """
    if len(images) < MIN_IMAGES:
        raise AdoptionError(
            f"a model is tried on at least {MIN_IMAGES} images, not on {len(images)}; give more as --images"
        )
    embeddings = original.embed(images)
    expected = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    precision = _precision(original.proto)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        save = partial(
            Bundle.save,
            model=file,
            name=name or original.path.stem,
            image=original.image,
            output=OutputSpec(dimension=expected.shape[1], bnneck=None),
            precision=precision,
        )
        faults = []
        for form in _forms(original.batch):
            onnx.save(wrap(original, form, expected.shape[1]), file)
            try:
                parity = _measure(save(Path(folder) / "draft"), images, expected)
            except (RuntimeError, BundleError) as error:
                faults.append(str(error))
                continue
            if not (changes := SAME.faults(parity)):
                return save(out, parity=(parity,), source=_source(original, form) | {"parity_data": parity_data})
            faults.append(f"in a batch embeddings change: {', '.join(changes)}")
            if form == "dynamic" and precision != "int8":  # which may scale by the whole batch
                break  # it was exported in training mode
    raise AdoptionError(_refusal(original, faults[0]))


def _forms(batch: int | None) -> Sequence[str]:
    """Return the FORMS to try: only a graph exported for one image can run one by one."""
    possible = {None: tuple(FORMS), 1: ("made dynamic", "one by one")}
    return possible.get(batch, ("made dynamic",))


def _measure(bundle: Bundle, images: NDArray[np.uint8], expected: NDArray[np.float32]) -> Parity:
    """Embed in batches of several sizes and compare. Raises RuntimeError, or BundleError if it does not load."""
    session = open_session(bundle)
    found = []
    for rows in batches(len(images)):
        embeddings = run_graph(session, {"images": images[rows]}, "embeddings")
        if len(embeddings) != len(images[rows]):
            raise RuntimeError(f"{len(embeddings)} embeddings for {len(images[rows])} images")
        found.append(embeddings)
    return compare(np.concatenate(found).astype(np.float32), expected, bundle.manifest.precision)


def _precision(proto: onnx.ModelProto) -> str:
    """Return the type of most weights, or int8 if the graph quantises."""
    if INT8_OPERATORS & {node.op_type for node in proto.graph.node}:
        return "int8"
    sizes: Counter[str] = Counter()
    for tensor in proto.graph.initializer:
        sizes[PRECISIONS.get(tensor.data_type, "")] += int(np.prod(tensor.dims))
    del sizes[""]
    return max(sizes, key=sizes.__getitem__, default="fp32")


def _source(original: Original, form: str) -> dict[str, JsonValue]:
    pixels = original.pixels
    stated: dict[str, JsonValue] = {"layout": pixels.layout, "color": pixels.color}
    if pixels.dtype is not np.uint8:
        stated |= {"scale": pixels.scale, "mean": list(pixels.mean), "std": list(pixels.std)}
    return {
        "adopted": original.path.name,
        "sha256": sha256_of(original.path),
        "input": np.dtype(pixels.dtype).name,
        "output": original.output,
        "batch": form,
        "preprocessing": stated,
    }


def _refusal(original: Original, fault: str) -> str:
    if original.batch is None:
        return f"{original.path} differs between one image and a batch ({fault}); export it in evaluation mode"
    return (
        f"{original.path} is fixed to batches of {original.batch} and cannot be made dynamic ({fault}); export it with "
        "a dynamic batch axis, or for a batch of 1"
    )
