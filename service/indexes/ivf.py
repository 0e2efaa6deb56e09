"""Embeddings in lists by their nearest centroid, half as large: only the lists near the query are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from vitreid.service.indexes import files
from vitreid.service.indexes.columns import Column
from vitreid.service.indexes.faiss_calls import as_answer, load_faiss, selector, set_threads
from vitreid.service.indexes.protocol import Allowed, Floats, Ids, Parameters, nothing
from vitreid.service.indexes.trust import check, check_ivf, check_parameters
from vitreid.service.indexes.tuning import DEEP_K, NEAR_DUPLICATES, TARGET_RECALL, K, questions

LISTS_PER_ROOT = 4  # lists for each unit of the square root of the number of embeddings
POINTS_PER_LIST = 64  # that centroids are trained on; faiss warns below 39
LIST_SHIFT = 32  # the upper half of a place in faiss's table is the list
SPARE = 16  # of the k that are asked for, what callers ask for to be on the safe side
FILTER_POWER = 1.4  # one camera of six is as far as the best 12 times as many of all
BLOCK = 65_536  # embeddings assigned at once
MOST_GROWTH = 100.0
HASH_BYTES = 48  # of an entry in the table from id to place


class IvfIndex:
    """faiss IVF with 16-bit floats and a hash table from id to place, so that removing one does not scan the lists.

    Centroids and nprobe are fixed when it is built; what comes later is found also where it resembles nothing of that
    time, but a gallery that grew much is searched faster after a rebuild.
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
        """An index trained and tuned on (N, D) embeddings under (N,) ids."""
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
        """The index that `save` wrote, of ids below `slots` where that is given. Raises IndexDamaged."""
        contents = files.read(path, cls.kind, dimension)
        with files.damaged(path):
            native, present = contents.native, contents.arrays["present"]
            check((slots is None or len(present) <= slots, "an id is out of range"))
            check_ivf(native, present, dimension)
            limits = {"nprobe": (1, native.nlist), "growth": (-MOST_GROWTH, MOST_GROWTH), "built_with": (0, 2**62)}
            check_parameters(contents.parameters, limits)
            return cls(native, present, contents.parameters)

    def save(self, path: Path) -> None:
        """Write centroids and lists."""
        arrays = {"present": self._present.values}
        files.write(path, files.Contents(self.kind, self._native.d, arrays, self._parameters, self._native))

    def __len__(self) -> int:
        return int(self._native.ntotal)

    @property
    def garbage(self) -> int:
        """Nothing: places are taken by others."""
        return 0

    @property
    def memory_bytes(self) -> int:
        """Codes, ids, the table from id to place, centroids."""
        entries = len(self) * (self._native.code_size + 8 + HASH_BYTES)
        return int(entries + self._native.nlist * self._native.d * 4 + self._present.nbytes)

    @property
    def parameters(self) -> Parameters:
        """nlist; nprobe, lists searched for the ten best of all, and the recall of that; growth, the power with which
        nprobe grows with k and with what filters leave out; built_with, the size at which this was measured."""
        return dict(self._parameters)

    def add(self, ids: Ids, embeddings: Floats) -> None:
        """Take (N, D) embeddings under (N,) new ids."""
        if len(ids):
            ids = np.ascontiguousarray(ids, dtype=np.int64)
            set_threads(len(ids))
            self._native.add_with_ids(np.ascontiguousarray(embeddings, dtype=np.float32), ids)
            missing = int(ids.max()) + 1 - len(self._present)
            self._present.append(np.zeros(max(0, missing), dtype=np.bool_))
            self._present.values[ids] = True

    def remove(self, ids: Ids) -> None:
        """Drop these ids; unknown ones are passed over."""
        known = np.unique(ids[(ids >= 0) & (ids < len(self._present))])
        known = known[self._present.values[known]]
        self._native.remove_ids(load_faiss().IDSelectorArray(known))
        self._present.values[known] = False

    def search(self, embeddings: Floats, k: int, allowed: Allowed | None = None) -> tuple[Floats, Ids]:
        """Scores and ids, both (Q, min(k, len)), best first; all lists are searched where some hold too few."""
        k, members, left = min(k, len(self)), None, len(self)
        if allowed is not None:
            end = min(len(allowed), len(self._present))
            members = allowed[:end] & self._present.values[:end]
            left = int(np.count_nonzero(members))
        if not left or not len(embeddings):
            return nothing(len(embeddings), k)
        queries = np.ascontiguousarray(embeddings, dtype=np.float32)
        scores, ids = self._probe(queries, k, members, self._nprobe(k, left / len(self)))
        short = ids[:, min(k, left) - 1] < 0
        if short.any():
            scores[short], ids[short] = self._probe(queries[short], k, members, self._native.nlist)
        return scores, ids

    def _nprobe(self, k: int, share: float) -> int:
        """In how many lists the best k are that lie among a share of the embeddings.

        They lie about as far as the best k / share of all. A little farther: what filters leave is seldom random.
        """
        far = max(1.0, (k - SPARE) / K) / share**FILTER_POWER
        return int(min(self._native.nlist, np.ceil(self._parameters["nprobe"] * far ** self._parameters["growth"])))

    def _probe(self, queries: Floats, k: int, members: Allowed | None, nprobe: int) -> tuple[Floats, Ids]:
        only = None if members is None else selector(members)
        set_threads(len(queries))
        parameters = load_faiss().SearchParametersIVF(sel=only, nprobe=nprobe)
        return as_answer(self._native.search(queries, k, params=parameters))

    def _tune(self, ids: Ids, embeddings: Floats) -> None:
        """Look where the answers lie, as which of the lists by nearness to the question, and search so many."""
        asked, native = questions(ids, embeddings), self._native
        set_threads(len(asked.queries))
        _, lists = native.quantizer.search(asked.queries, native.nlist)
        places = np.argsort(lists, axis=1)  # by question and list: which one by nearness

        def lists_for(best: int) -> int:
            needed = [
                places[row, native.direct_map.get(answer) >> LIST_SHIFT]
                for row, nearest in enumerate(asked.nearest)
                for answer in nearest[:best]
            ]
            return 1 + int(np.quantile(needed, TARGET_RECALL, method="higher"))

        nprobe = lists_for(K)
        growth = np.log(lists_for(DEEP_K) / nprobe) / np.log(DEEP_K / K)
        recall = asked.recall(self._probe(asked.queries, min(K + NEAR_DUPLICATES, len(self)), None, nprobe)[1], K)
        self._parameters |= {"nprobe": nprobe, "recall": round(recall, 4), "growth": round(float(growth), 3)}


def _train(dimension: int, embeddings: Floats) -> Any:
    """An empty index whose centroids fit these (N, D) embeddings; a single list where they are few."""
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
    """Put embeddings into lists of exactly the size: lists that grow take a tenth more memory."""
    set_threads(len(ids))
    lists = np.empty(len(ids), dtype=np.int64)
    for start in range(0, len(ids), BLOCK):
        part = slice(start, start + BLOCK)
        lists[part] = native.quantizer.search(embeddings[part], 1)[1][:, 0]
    for number, size in enumerate(np.bincount(lists, minlength=native.nlist).tolist()):
        native.invlists.resize(number, size)
        native.invlists.resize(number, 0)  # the room stays
    native.add_core(len(ids), *(load_faiss().swig_ptr(each) for each in (embeddings, ids, lists)))
