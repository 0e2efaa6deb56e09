"""What a loaded index must be before it is searched: faiss follows every number in its files, wherever that leads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreid.service.indexes.faiss_calls import load_faiss
from vitreid.service.indexes.protocol import Parameters

MOST_LAYERS = 64
MOST_EF = 1 << 20


def check(*facts: tuple[bool, str]) -> None:
    """Raise ValueError with the words of the first fact that does not hold."""
    for holds, otherwise in facts:
        if not holds:
            raise ValueError(otherwise)


def check_ids(ids: NDArray[Any], slots: int | None) -> None:
    """Raise ValueError unless these are different ids from 0, below `slots` where that is given."""
    check((ids.ndim == 1 and ids.dtype == np.int64, "its ids are of another type"))
    if len(ids):
        check(
            (int(ids.min()) >= 0 and (slots is None or int(ids.max()) < slots), "an id is out of range"),
            (len(np.unique(ids)) == len(ids), "an id is there twice"),
        )


def check_rows(embeddings: NDArray[Any], count: int, dimension: int) -> None:
    """Raise ValueError unless these are (count, dimension) finite numbers."""
    check(
        (
            embeddings.shape == (count, dimension) and embeddings.dtype == np.float32,
            "its embeddings have another shape",
        ),
        (bool(np.isfinite(embeddings).all()), "an embedding is not finite"),
    )


def check_parameters(parameters: Parameters, limits: dict[str, tuple[float, float]]) -> None:
    """Raise ValueError unless each named parameter is a number between its limits."""
    for name, (least, most) in limits.items():
        value = parameters[name]
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        check((number and least <= value <= most, f"{name} is {value}, not {least:g} to {most:g}"))


def check_ivf(native: Any, present: NDArray[np.bool_], dimension: int) -> None:
    """Raise ValueError unless lists, centroids and ids fit together."""
    faiss = load_faiss()
    check((isinstance(native, faiss.IndexIVFScalarQuantizer), "it is not an index of lists"))
    quantizer, lists = faiss.downcast_index(native.quantizer), faiss.downcast_InvertedLists(native.invlists)
    check(
        (isinstance(quantizer, faiss.IndexFlat), "its centroids are of another kind"),
        (native.d == quantizer.d == dimension, "it has another dimension"),
        (native.metric_type == quantizer.metric_type == faiss.METRIC_INNER_PRODUCT, "it has another metric"),
        (native.is_trained and quantizer.ntotal == native.nlist >= 1, "it has not a centroid for each list"),
        (native.sq.qtype == faiss.ScalarQuantizer.QT_fp16 and native.code_size == 2 * dimension, "its codes differ"),
        (isinstance(lists, faiss.ArrayInvertedLists), "its lists are of another kind"),
        (lists.nlist == native.nlist and lists.code_size == native.code_size, "its lists have another size"),
        (native.direct_map.type == faiss.DirectMap.Hashtable, "it has no table from id to place"),
        (present.ndim == 1 and present.dtype == np.bool_, "its ids are of another type"),
    )
    held = list(_ids_of(lists))
    ids = np.concatenate(held) if held else np.empty(0, dtype=np.int64)
    check_ids(ids, len(present))
    check((len(ids) == native.ntotal == int(np.count_nonzero(present)), "it has another number of ids"))
    check((bool(present[ids].all()), "it holds ids that it says it does not"))


def check_graph(native: Any, count: int, dimension: int) -> None:
    """Raise ValueError unless every link of the graph leads to one of `count` rows."""
    faiss = load_faiss()
    check((isinstance(native, faiss.IndexHNSWSQ), "it is not a graph"))
    graph, storage = native.hnsw, faiss.downcast_index(native.storage)
    check(
        (isinstance(storage, faiss.IndexScalarQuantizer), "its codes are of another kind"),
        (native.d == storage.d == dimension, "it has another dimension"),
        (native.metric_type == storage.metric_type == faiss.METRIC_INNER_PRODUCT, "it has another metric"),
        (storage.sq.qtype == faiss.ScalarQuantizer.QT_fp16 and storage.code_size == 2 * dimension, "its codes differ"),
        (native.ntotal == storage.ntotal == count, "it has another number of rows"),
        (storage.codes.size() == count * storage.code_size, "it has another number of codes"),
        (graph.levels.size() == count and graph.offsets.size() == count + 1, "its layers do not fit its rows"),
        (-1 <= graph.max_level < MOST_LAYERS and -1 <= graph.entry_point < count, "it is entered nowhere"),
        ((graph.entry_point < 0) == (count == 0), "it is entered nowhere"),
    )
    links, offsets, levels = (_array(each) for each in (graph.neighbors, graph.offsets, graph.levels))
    if not count:
        return
    check(
        (
            int(levels.min()) >= 1 and int(levels.max()) <= graph.max_level + 1,
            "a row lies in a layer that is not there",
        ),
        (int(levels[graph.entry_point]) == graph.max_level + 1, "it is entered below its top"),
        (int(links.min(initial=-1)) >= -1 and int(links.max(initial=-1)) < count, "a link leads out of it"),
    )
    widths = np.array([graph.cum_nb_neighbors(level) for level in range(graph.max_level + 2)], dtype=np.int64)
    places = np.concatenate([[0], np.cumsum(widths[levels])])
    check(
        (np.array_equal(places, offsets.astype(np.int64)) and int(places[-1]) == len(links), "its links are misplaced")
    )
    _check_layers(links, places, levels, widths)


def _check_layers(
    links: NDArray[np.int32], places: NDArray[np.int64], levels: NDArray[np.int32], widths: NDArray[np.int64]
) -> None:
    """Raise ValueError where a link of an upper layer leads to a row that is not in it: its links lie elsewhere."""
    for layer in range(1, len(widths) - 1):
        for row in np.flatnonzero(levels > layer):
            of_layer = links[places[row] + widths[layer] : places[row] + widths[layer + 1]]
            check((bool(np.all(levels[of_layer[of_layer >= 0]] > layer)), "a link leads out of its layer"))


def _ids_of(lists: Any) -> Iterator[NDArray[np.int64]]:
    for number in range(lists.nlist):
        if size := lists.list_size(number):
            yield load_faiss().rev_swig_ptr(lists.get_ids(number), size).copy()


def _array(vector: Any) -> NDArray[Any]:
    size = vector.size()
    return load_faiss().rev_swig_ptr(vector.data(), size) if size else np.empty(0, dtype=np.int64)
