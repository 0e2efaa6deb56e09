"""Models trained elsewhere: inputs and outputs of the ONNX file, and embeddings by a direct run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import ImageSpec
from vitreid.bundle.run import load_graph, load_onnxruntime
from vitreid.export.errors import AdoptionError
from vitreid.export.pixels import InputSpec, Pixels, find_image, find_layout, find_pixels, shown

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import InferenceSession, NodeArg

DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}
LARGEST = 2_000_000_000
"""Bytes; ONNX files of one piece end at 2 GiB."""


SOURCE = re.compile(r"/onnxruntime_src/\S+:\d+ .*?\) (?=[A-Z])")


@dataclass(frozen=True)
class Original:
    """An opened model and the form of its input. `batch` is None if its batch axis is dynamic."""

    path: Path
    proto: ModelProto
    session: InferenceSession
    input: str
    output: str
    batch: int | None
    image: ImageSpec
    pixels: Pixels

    @classmethod
    def open(cls, path: Path, stated: InputSpec) -> Original:
        """Read an ONNX file and find its inputs and outputs.

        Raises AdoptionError if it cannot be read or run, has other inputs than one of images, or if values are missing
        from both file and `stated`, or contradict each other.
        """
        with _naming(path):
            proto = _read(path)
            session = _load(proto)
            node = _only_input(session)
            layout = find_layout(node.shape, stated.layout)
            return cls(
                path=path,
                proto=proto,
                session=session,
                input=node.name,
                output=_output(session, stated.output),
                batch=node.shape[0] if isinstance(node.shape[0], int) else None,
                image=find_image(node.shape, layout, stated),
                pixels=find_pixels(DTYPES[node.type], layout, stated),
            )

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed images (N, H, W, 3), one per run if the batch axis allows it: (N, D).

        Raises AdoptionError if it does not run, and for invalid embeddings.
        """
        size = self.batch or 1
        rows = []
        with _naming(self.path):
            for start in range(0, len(images), size):
                group = images[start : start + size]
                filled = group[np.resize(np.arange(len(group)), size)]
                rows.append(self._run(filled)[: len(group)])
            embeddings = np.concatenate(rows)
            _check(embeddings)
        return embeddings

    def _run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        feed = self.pixels.prepared(images)
        try:
            found = run_graph(self.session, {self.input: feed}, self.output)
        except RuntimeError as error:
            raise AdoptionError(
                f"does not run on an input of {feed.shape} ({error}); check --height, --width and --layout"
            ) from error
        if found.ndim < 2 or len(found) != len(images):
            raise AdoptionError(
                f"gives {self.output} of shape {found.shape} for {len(images)} images, which has no batch axis; "
                "export it as (batch, dimension)"
            )
        if found[0].size != max(found.shape[1:]):
            raise AdoptionError(
                f"gives {self.output} of shape {found.shape[1:]} for an image, where an embedding is one row of "
                "numbers; choose another --output, or export the model with its pooling"
            )
        return found.reshape(len(found), -1).astype(np.float32)


def run_graph(session: InferenceSession, feed: dict[str, NDArray[np.generic]], output: str) -> NDArray[np.generic]:
    """Run a graph for one output. Raises RuntimeError with onnxruntime's reason on one line."""
    quiet = load_onnxruntime().RunOptions()
    quiet.log_severity_level = 4  # the exception has the message
    try:
        return cast("NDArray[np.generic]", session.run([output], feed, quiet)[0])
    except Exception as error:  # onnxruntime's exception types share no base class but this one
        raise RuntimeError(_reason(error)) from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the path in front of an error's message."""
    try:
        yield
    except AdoptionError as error:
        raise AdoptionError(f"{path} {error}") from error


def _read(path: Path) -> ModelProto:
    """Read the file, with all weights inside."""
    import onnx
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import load_external_data_for_model

    if not path.is_file():
        raise AdoptionError("is not a file; give a model as .onnx")
    try:
        proto = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise AdoptionError(f"is not a complete ONNX model ({_reason(error)}); fetch or export it again") from error
    if not proto.graph.node:
        raise AdoptionError("holds no operators, so it is not a complete ONNX model; fetch or export it again")
    try:
        load_external_data_for_model(proto, str(path.parent))
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        raise AdoptionError(
            f"has weights in other files, which cannot be read ({_reason(error)}); put them beside it"
        ) from error
    if proto.ByteSize() > LARGEST:
        raise AdoptionError(f"has {proto.ByteSize():,} bytes with its weights, and a bundle's file at most {LARGEST:,}")
    return proto


def _load(proto: ModelProto) -> InferenceSession:
    try:
        return load_graph(proto.SerializeToString())
    except Exception as error:  # onnxruntime's exception types share no base class but this one
        raise AdoptionError(
            f"does not load in onnxruntime ({_reason(error)}); export it with standard operators, and an opset of 9 or "
            "later that it knows"
        ) from error


def _only_input(session: InferenceSession) -> NodeArg:
    nodes = session.get_inputs()
    if len(nodes) != 1:
        raise AdoptionError(f"takes {len(nodes)} inputs, {_described(nodes)}; export it with images as the only one")
    node = nodes[0]
    if node.type not in DTYPES:
        raise AdoptionError(f"takes {node.type}; images are {' or '.join(DTYPES)}: export it with one of these")
    if len(node.shape) != 4:
        raise AdoptionError(
            f"takes {shown(node.shape)}; images have four axes, the first is the batch: export it with these"
        )
    return node


def _output(session: InferenceSession, stated: str | None) -> str:
    nodes = session.get_outputs()
    named = {node.name: node for node in nodes}
    if stated is None and len(nodes) > 1:
        raise AdoptionError(f"gives {len(nodes)} outputs, {_described(nodes)}; choose one with --output NAME")
    node = named.get(stated) if stated else nodes[0]
    if node is None:
        raise AdoptionError(f"gives no output {stated}, but {_described(nodes)}; correct --output")
    if node.type not in ("tensor(float)", "tensor(float16)"):
        raise AdoptionError(f"gives {node.name} as {node.type}, where an embedding is float; choose another --output")
    return str(node.name)


def _check(embeddings: NDArray[np.float32]) -> None:
    """Check embeddings (N, D): finite, not zero, different for different images. Raises AdoptionError."""
    broken = (~np.isfinite(embeddings)).any(axis=1).sum()
    zeros = (embeddings == 0).all(axis=1).sum()
    for fault, count in (("values that are not finite", broken), ("nothing but zeros", zeros)):
        if count:
            raise AdoptionError(
                f"gives {fault} for {count} of {len(embeddings)} images; check --scale, --mean, --std and --output"
            )
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    if len(unit) > 1 and unit.std(axis=0).max() < 1e-6:
        raise AdoptionError(
            f"gives the same embedding for all of {len(unit)} images; check --scale, --mean, --std and --output"
        )


def _described(nodes: Sequence[NodeArg]) -> str:
    return ", ".join(f"{node.name} {shown(node.shape)}" for node in nodes)


def _reason(error: Exception) -> str:
    """Return the first 300 characters of an error on one line, without the position in onnxruntime's source."""
    text = SOURCE.sub("", " ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "..."
