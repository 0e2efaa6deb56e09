"""Index files made to mislead faiss are refused before faiss follows their numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitreid.service.indexes import IvfIndex, files
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

    def make(spoil: Callable[[files.Contents], object]) -> Path:
        index = IvfIndex.build(DIMENSION, IDS, rows())
        index.save(tmp_path / "index")
        contents = files.read(tmp_path / "index", IvfIndex.kind, DIMENSION)
        spoil(contents)
        files.write(tmp_path / "index", contents)
        return tmp_path / "index"

    return make


def parameter(**values: Any) -> Callable[[files.Contents], None]:
    return lambda contents: contents.parameters.update(values)


LISTS = {
    "no nprobe": parameter(nprobe=0),
    "an nprobe that is not a number": parameter(nprobe=float("nan")),
    "true for a number": parameter(nprobe=True),
    "an nprobe without end": parameter(nprobe=10**12),
    "a growth without end": parameter(growth=1e300),
    "a growth that is no number": parameter(growth=float("nan")),
    "an id that is not present": lambda contents: contents.arrays["present"].__setitem__(0, False),
    "centroids for other lists": lambda contents: load_faiss().downcast_index(contents.native.quantizer).reset(),
    "another metric": lambda contents: setattr(contents.native, "metric_type", load_faiss().METRIC_L2),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", LISTS)
def test_hostile_lists_are_refused(what: str, spoiled: Callable[..., Path]) -> None:
    with pytest.raises(IndexDamaged):
        IvfIndex.load(spoiled(LISTS[what]), DIMENSION, ROWS)


def test_an_unchanged_file_is_loaded(spoiled: Callable[..., Path]) -> None:
    loaded = IvfIndex.load(spoiled(lambda contents: None), DIMENSION, ROWS)
    assert loaded.search(rows()[:1], 1)[1].tolist() == [[0]]


def test_an_empty_one_and_one_of_which_much_was_removed_are_loaded(tmp_path: Path) -> None:
    empty = IvfIndex.build(DIMENSION, IDS[:0], rows()[:0])
    empty.save(tmp_path / "empty")
    assert len(IvfIndex.load(tmp_path / "empty", DIMENSION, 0)) == 0
    index = IvfIndex.build(DIMENSION, IDS, rows())
    index.remove(IDS[100:])
    index.save(tmp_path / "less")
    assert len(IvfIndex.load(tmp_path / "less", DIMENSION, ROWS)) == 100
