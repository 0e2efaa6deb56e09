"""Validation of loaded indexes: faiss follows every number in its files, out of bounds if need be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitreid.service.indexes.faiss_calls import load_faiss
from vitreid.service.indexes.protocol import Parameters


def check(*conditions: tuple[bool, str]) -> None:
    """Raise ValueError with the message of the first condition that is false."""
    for holds, message in conditions:
        if not holds:
            raise ValueError(message)


def check_ids(ids: NDArray[Any], slots: int | None) -> None:
    """Raise ValueError unless these are distinct ids from 0, below `slots` where it is given."""
    check((ids.ndim == 1 and ids.dtype == np.int64, "its ids are of another type"))
    if len(ids):
        check(
            (int(ids.min()) >= 0 and (slots is None or int(ids.max()) < slots), "an id is out of range"),
            (len(np.unique(ids)) == len(ids), "an id occurs twice"),
        )


def check_rows(embeddings: NDArray[Any], count: int, dimension: int) -> None:
    """Raise ValueError unless these are (count, dimension) finite numbers."""
    fits = embeddings.shape == (count, dimension) and embeddings.dtype == np.float32
    check((fits, "its embeddings have another shape"))
    check((bool(np.isfinite(embeddings).all()), "an embedding is not finite"))


def check_parameters(parameters: Parameters, limits: dict[str, tuple[float, float]]) -> None:
    """Raise ValueError unless each named parameter is a number between its limits."""
    for name, (minimum, maximum) in limits.items():
        value = parameters[name]
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        check((number and minimum <= value <= maximum, f"{name} is {value}; expected {minimum:g} to {maximum:g}"))


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
        (native.direct_map.type == faiss.DirectMap.Hashtable, "it has no hash table of positions"),
        (present.ndim == 1 and present.dtype == np.bool_, "its ids are of another type"),
    )
    held = list(_ids_of(lists))
    ids = np.concatenate(held) if held else np.empty(0, dtype=np.int64)
    check_ids(ids, len(present))
    check((len(ids) == native.ntotal == int(np.count_nonzero(present)), "it has another number of ids"))
    check((bool(present[ids].all()), "it holds ids that its list of ids omits"))


def _ids_of(lists: Any) -> Iterator[NDArray[np.int64]]:
    for number in range(lists.nlist):
        if size := lists.list_size(number):
            yield load_faiss().rev_swig_ptr(lists.get_ids(number), size).copy()
