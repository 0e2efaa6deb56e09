"""Inverted lists of 16-bit embeddings by nearest centroid: only the lists near the query are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from vitreid.service.indexes import files
from vitreid.service.indexes.columns import Column
from vitreid.service.indexes.faiss_calls import load_faiss, selector, set_threads, to_result
from vitreid.service.indexes.protocol import Allowed, Floats, Ids, Parameters, empty_result
from vitreid.service.indexes.tuning import DEEP_K, NEAR_DUPLICATES, TARGET_RECALL, K, tuning_set
from vitreid.service.indexes.validation import check, check_ivf, check_parameters

LISTS_PER_ROOT = 4  # lists for each unit of the square root of the number of embeddings
POINTS_PER_LIST = 64  # that centroids are trained on; faiss warns below 39
LIST_SHIFT = 32  # the upper half of an entry of faiss's hash table is the list
SPARE = 16  # margin that callers add to k
FILTER_POWER = 1.4  # measured: the best k of one camera of six lie as far as the best 12 k of all
BLOCK = 65_536  # embeddings assigned at once
MAX_GROWTH = 100.0
HASH_BYTES = 48  # of an entry of the hash table


class IvfIndex:
    """faiss IVF with 16-bit floats, and a hash table of positions so that removing an id does not scan the lists.

    Centroids and nprobe are fixed when it is built; embeddings added later are found even where they resemble none of
    that time, but a gallery that grew much is searched faster after a rebuild.
    """

    kind: ClassVar[str] = "ivf"
    exact_scores: ClassVar[bool] = False

    def __init__(self, native: Any, present: Allowed, parameters: Parameters) -> None:
        self._native = native
        self._present = Column(np.bool_)  # by id
        self._present.append(present)
        self._parameters = parameters

    @classmethod
    def build(cls, dimension: int, ids: Ids, embeddings: Floats) -> Self:
        """Build an index trained and tuned on (N, D) embeddings under (N,) ids."""
        embeddings = np.ascontiguousarray(embeddings, dtype=np.float32)
        ids = np.ascontiguousarray(ids, dtype=np.int64)
        native = _train(dimension, embeddings)
        _fill(native, ids, embeddings)
        parameters = {
            "nlist": native.nlist,
            "nprobe": native.nlist,
            "recall": 1.0,
            "growth": 0.0,
            "built_with": len(ids),
        }
        present = np.zeros(int(ids.max(initial=-1)) + 1, dtype=np.bool_)
        present[ids] = True
        index = cls(native, present, parameters)
        if native.nlist > 1:
            index._tune(ids, embeddings)
        return index

    @classmethod
    def load(cls, path: Path, dimension: int, slots: int | None = None) -> Self:
        """Load what `save` wrote, of ids below `slots` where it is given. Raises IndexDamaged."""
        contents = files.read(path, cls.kind, dimension)
        with files.damaged(path):
            native, present = contents.native, contents.arrays["present"]
            check((slots is None or len(present) <= slots, "an id is out of range"))
            check_ivf(native, present, dimension)
            limits = {"nprobe": (1, native.nlist), "growth": (-MAX_GROWTH, MAX_GROWTH), "built_with": (0, 2**62)}
            check_parameters(contents.parameters, limits)
            return cls(native, present, contents.parameters)

    def save(self, path: Path) -> None:
        """Write centroids and lists."""
        arrays = {"present": self._present.values}
        files.write(path, files.Contents(self.kind, self._native.d, arrays, self._parameters, self._native))

    def __len__(self) -> int:
        return int(self._native.ntotal)

    @property
    def memory_bytes(self) -> int:
        """Bytes of codes, ids, hash table and centroids."""
        entries = len(self) * (self._native.code_size + 8 + HASH_BYTES)
        return int(entries + self._native.nlist * self._native.d * 4 + self._present.nbytes)

    @property
    def parameters(self) -> Parameters:
        """nlist; nprobe, the lists searched for the ten best, and its recall; growth, the power with which nprobe grows
        with k and with the share that filters exclude; built_with, the size at which these were measured."""
        return dict(self._parameters)

    def add(self, ids: Ids, embeddings: Floats) -> None:
        """Add (N, D) embeddings under (N,) new ids."""
        if len(ids):
            ids = np.ascontiguousarray(ids, dtype=np.int64)
            set_threads(len(ids))
            self._native.add_with_ids(np.ascontiguousarray(embeddings, dtype=np.float32), ids)
            missing = int(ids.max()) + 1 - len(self._present)
            self._present.append(np.zeros(max(0, missing), dtype=np.bool_))
            self._present.values[ids] = True

    def remove(self, ids: Ids) -> None:
        """Remove these ids; unknown ids are ignored."""
        known = np.unique(ids[(ids >= 0) & (ids < len(self._present))])
        known = known[self._present.values[known]]
        self._native.remove_ids(load_faiss().IDSelectorArray(known))
        self._present.values[known] = False

    def search(self, embeddings: Floats, k: int, allowed: Allowed | None = None) -> tuple[Floats, Ids]:
        """Return scores and ids, both (Q, min(k, len)), best first; all lists are searched where some hold too few."""
        k, members, left = min(k, len(self)), None, len(self)
        if allowed is not None:
            end = min(len(allowed), len(self._present))
            members = allowed[:end] & self._present.values[:end]
            left = int(np.count_nonzero(members))
        if not left or not len(embeddings):
            return empty_result(len(embeddings), k)
        queries = np.ascontiguousarray(embeddings, dtype=np.float32)
        scores, ids = self._probe(queries, k, members, self._nprobe(k, left / len(self)))
        short = ids[:, min(k, left) - 1] < 0
        if short.any():
            scores[short], ids[short] = self._probe(queries[short], k, members, self._native.nlist)
        return scores, ids

    def _nprobe(self, k: int, share: float) -> int:
        """Return in how many lists the best k of a share of the embeddings lie.

        They lie about as far as the best k / share of all. A little farther: filters are seldom random.
        """
        far = max(1.0, (k - SPARE) / K) / share**FILTER_POWER
        return int(min(self._native.nlist, np.ceil(self._parameters["nprobe"] * far ** self._parameters["growth"])))

    def _probe(self, queries: Floats, k: int, members: Allowed | None, nprobe: int) -> tuple[Floats, Ids]:
        only = None if members is None else selector(members)
        set_threads(len(queries))
        parameters = load_faiss().SearchParametersIVF(sel=only, nprobe=nprobe)
        return to_result(*self._native.search(queries, k, params=parameters))

    def _tune(self, ids: Ids, embeddings: Floats) -> None:
        """Measure in which list, by nearness to the query, the true neighbours lie, and set nprobe to reach them."""
        tuning, native = tuning_set(ids, embeddings), self._native
        set_threads(len(tuning.queries))
        _, lists = native.quantizer.search(tuning.queries, native.nlist)
        ranks = np.argsort(lists, axis=1)  # (Q, nlist): rank of each list by nearness

        def lists_for(best: int) -> int:
            needed = [
                ranks[row, native.direct_map.get(neighbour) >> LIST_SHIFT]
                for row, nearest in enumerate(tuning.nearest)
                for neighbour in nearest[:best]
            ]
            return 1 + int(np.quantile(needed, TARGET_RECALL, method="higher"))

        nprobe = lists_for(K)
        growth = np.log(lists_for(DEEP_K) / nprobe) / np.log(DEEP_K / K)
        recall = tuning.recall(self._probe(tuning.queries, min(K + NEAR_DUPLICATES, len(self)), None, nprobe)[1], K)
        self._parameters |= {"nprobe": nprobe, "recall": round(recall, 4), "growth": round(float(growth), 3)}


def _train(dimension: int, embeddings: Floats) -> Any:
    """Return an empty index whose centroids fit these (N, D) embeddings; a single list where they are few."""
    faiss, count = load_faiss(), len(embeddings)
    lists = max(1, min(int(LISTS_PER_ROOT * count**0.5), count // POINTS_PER_LIST))
    native = faiss.index_factory(dimension, f"IVF{lists},SQfp16", faiss.METRIC_INNER_PRODUCT)
    native.set_direct_map_type(faiss.DirectMap.Hashtable)
    if lists == 1:
        sample = np.zeros((1, dimension), dtype=np.float32)
        faiss.downcast_index(native.quantizer).add(sample)  # a centroid that everything belongs to
    else:
        sample = embeddings[np.sort(np.random.default_rng(0).permutation(count)[: lists * POINTS_PER_LIST])]
    set_threads(len(embeddings))
    native.train(sample)
    return native


def _fill(native: Any, ids: Ids, embeddings: Floats) -> None:
    """Fill lists of exactly the right size: lists that grow take a tenth more memory."""
    set_threads(len(ids))
    lists = np.empty(len(ids), dtype=np.int64)
    for start in range(0, len(ids), BLOCK):
        part = slice(start, start + BLOCK)
        lists[part] = native.quantizer.search(embeddings[part], 1)[1][:, 0]
    for number, size in enumerate(np.bincount(lists, minlength=native.nlist).tolist()):
        native.invlists.resize(number, size)
        native.invlists.resize(number, 0)  # the room stays
    native.add_core(len(ids), *(load_faiss().swig_ptr(each) for each in (embeddings, ids, lists)))
