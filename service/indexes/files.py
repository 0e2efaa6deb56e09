"""Index files: a line of JSON as header, numpy arrays, and optionally a faiss index.

These files are neither durable nor checked for flipped bits: the gallery's snapshots fsync, rename and hash them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vitreid.service.errors import GalleryError
from vitreid.service.indexes.faiss_calls import load_faiss
from vitreid.service.indexes.protocol import Parameters

FORMAT = "vitreid-index"
VERSION = 1
LINE_BYTES = 65_536
BLOCK_BYTES = 1 << 20


class IndexDamaged(GalleryError):
    """The index file is truncated, or is not an index file."""

    slug = "index-damaged"
    status = 503


@dataclass(frozen=True)
class Contents:
    """Contents of an index file."""

    kind: str
    dimension: int
    arrays: Mapping[str, NDArray[Any]]
    parameters: Parameters
    native: Any = None  # a faiss index, or None


def write(path: Path, contents: Contents) -> None:
    """Write a file. Raises OSError."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "kind": contents.kind,
        "dimension": contents.dimension,
        "arrays": list(contents.arrays),
        "parameters": contents.parameters,
        "native": contents.native is not None,
    }
    with path.open("wb") as file:
        file.write(json.dumps(head).encode() + b"\n")
        for array in contents.arrays.values():
            np.lib.format.write_array(file, array, allow_pickle=False)
        if contents.native is not None:
            faiss = load_faiss()
            faiss.write_index(contents.native, faiss.PyCallbackIOWriter(file.write, BLOCK_BYTES))


def read(path: Path, kind: str, dimension: int) -> Contents:
    """Read a file of this kind and dimension. Raises IndexDamaged."""
    with damaged(path), path.open("rb") as file:
        contents = _read(file)
    if (contents.kind, contents.dimension) != (kind, dimension):
        raise IndexDamaged(
            f"{path} holds an index of kind {contents.kind} and dimension {contents.dimension}; "
            f"expected {kind} and {dimension}; rebuild the index"
        )
    return contents


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    """Translate what json, numpy, faiss and our own checks raise for foreign bytes into IndexDamaged."""
    try:
        yield
    except (ValueError, LookupError, TypeError, ArithmeticError, EOFError, OSError, RuntimeError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IndexDamaged(f"{path} is not a usable index file ({reason}); rebuild the index") from error


def _read(file: IO[bytes]) -> Contents:
    head = json.loads(file.readline(LINE_BYTES))
    if (head["format"], head["version"]) != (FORMAT, VERSION):
        raise ValueError(f"{head['format']} {head['version']} instead of {FORMAT} {VERSION}")
    arrays = {name: np.lib.format.read_array(file, allow_pickle=False) for name in head["arrays"]}
    native = None
    if head["native"]:
        faiss = load_faiss()
        native = faiss.read_index(faiss.PyCallbackIOReader(file.read, BLOCK_BYTES))
    if file.read(1):
        raise ValueError("bytes after the end")
    return Contents(head["kind"], head["dimension"], arrays, head["parameters"], native)
