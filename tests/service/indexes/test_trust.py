"""A file of an index that was made to mislead faiss is refused before anything follows its numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitreid.service.indexes import HnswIndex, IvfIndex, files
from vitreid.service.indexes.faiss_calls import load_faiss
from vitreid.service.indexes.files import IndexDamaged

ROWS, DIMENSION = 600, 16
IDS = np.arange(ROWS)


def rows() -> np.ndarray:
    found = np.random.default_rng(0).standard_normal((ROWS, DIMENSION)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture
def spoiled(tmp_path: Path) -> Callable[..., Path]:
    """Saves an index, its contents changed by `spoil`."""

    def make(kind: type, spoil: Callable[[files.Contents], object]) -> Path:
        index = kind.build(DIMENSION, IDS, rows())
        index.save(tmp_path / "index")
        contents = files.read(tmp_path / "index", kind.kind, DIMENSION)
        spoil(contents)
        files.write(tmp_path / "index", contents)
        return tmp_path / "index"

    return make


def array_of(vector: Any) -> np.ndarray:
    return load_faiss().rev_swig_ptr(vector.data(), vector.size())


def put(name: str, place: int, value: int) -> Callable[[files.Contents], None]:
    """Write a number into an array of the graph."""

    def spoil(contents: files.Contents) -> None:
        array_of(getattr(contents.native.hnsw, name))[place] = value

    return spoil


def parameter(**values: Any) -> Callable[[files.Contents], None]:
    return lambda contents: contents.parameters.update(values)


GRAPH = {
    "a link beyond the rows": put("neighbors", 0, ROWS),
    "a link far away": put("neighbors", 5, 2**31 - 1),
    "a link before the first row": put("neighbors", 0, -7),
    "links that lie elsewhere": put("offsets", 3, 10),
    "a row in no layer": put("levels", 3, 0),
    "a row in a layer that is not there": put("levels", 3, 9),
    "no entry": lambda contents: setattr(contents.native.hnsw, "entry_point", ROWS),
    "many layers": lambda contents: setattr(contents.native.hnsw, "max_level", 2**30),
    "an ef without end": parameter(ef=2**40),
    "an ef that is no number": parameter(ef=float("nan")),
    "an ef of none": parameter(ef=0),
    "true for a number": parameter(ef=True),
    "an id twice": lambda contents: contents.arrays["ids"].__setitem__(0, 1),
    "an id out of range": lambda contents: contents.arrays["ids"].__setitem__(0, 2**40),
}
LISTS = {
    "no nprobe": parameter(nprobe=0),
    "an nprobe without end": parameter(nprobe=10**12),
    "a growth without end": parameter(growth=1e300),
    "a growth that is no number": parameter(growth=float("nan")),
    "an id that is not present": lambda contents: contents.arrays["present"].__setitem__(0, False),
    "centroids for other lists": lambda contents: load_faiss().downcast_index(contents.native.quantizer).reset(),
    "another metric": lambda contents: setattr(contents.native, "metric_type", load_faiss().METRIC_L2),
}


@pytest.mark.parametrize("what", GRAPH)
def test_a_hostile_graph_is_refused(what: str, spoiled: Callable[..., Path]) -> None:
    with pytest.raises(IndexDamaged):
        HnswIndex.load(spoiled(HnswIndex, GRAPH[what]), DIMENSION, ROWS)


@pytest.mark.parametrize("what", LISTS)
def test_hostile_lists_are_refused(what: str, spoiled: Callable[..., Path]) -> None:
    with pytest.raises(IndexDamaged):
        IvfIndex.load(spoiled(IvfIndex, LISTS[what]), DIMENSION, ROWS)


@pytest.mark.parametrize("kind", [HnswIndex, IvfIndex])
def test_what_is_ours_is_loaded(kind: type, spoiled: Callable[..., Path]) -> None:
    loaded = kind.load(spoiled(kind, lambda contents: None), DIMENSION, ROWS)
    assert loaded.search(rows()[:1], 1)[1].tolist() == [[0]]


@pytest.mark.parametrize("kind", [HnswIndex, IvfIndex])
def test_an_empty_one_and_one_of_which_much_was_removed_are_loaded(kind: type, tmp_path: Path) -> None:
    empty = kind.build(DIMENSION, IDS[:0], rows()[:0])
    empty.save(tmp_path / "empty")
    assert len(kind.load(tmp_path / "empty", DIMENSION, 0)) == 0
    index = kind.build(DIMENSION, IDS, rows())
    index.remove(IDS[100:])
    index.save(tmp_path / "less")
    assert len(kind.load(tmp_path / "less", DIMENSION, ROWS)) == 100
