"""A bundle tried in every runtime of this machine: on images, and by searching a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, BundleDamaged, Parity, RuntimeMissing
from vitreid.export.errors import ParityError
from vitreid.export.graph import EmbeddingGraph
from vitreid.export.searches import Searches
from vitreid.export.tolerance import TOLERANCES, Tolerance
from vitreid.export.verify import measure_parity
from vitreid.export.ways import REFERENCE, Way
from vitreid.training.datasets import Source
from vitreid.training.evaluation.embed import Embedder


def _ignored(remark: str) -> None:
    """Nobody is told."""


@dataclass(frozen=True)
class Trial:
    """What a bundle is tried by.

    `tolerance` is for what it is written in, by default what that precision needs; `data` is a data set to search.
    The first of `ways` must be near enough to the model; of the others, `remark` is told which are not.
    """

    tolerance: Tolerance | None = None
    data: Source | None = None
    ways: Sequence[Way] = (REFERENCE,)
    remark: Callable[[str], None] = _ignored

    def searches(self, model: Embedder) -> Searches | None:
        """The model's own searches, with which those of the bundle are compared. Raises DataError."""
        return None if self.data is None else Searches.by_model(model, self.data)

    def parity(
        self, bundle: Bundle, graph: EmbeddingGraph, images: NDArray[np.uint8], searches: Searches | None
    ) -> tuple[Parity, ...]:
        """The parity on `images` (N, H, W, 3) of each runtime that is here and near enough.

        Raises ParityError where the first one is not near enough.
        """
        near: list[Parity] = []
        for way in (way for way in self.ways if way.takes(bundle)):
            try:
                near.append(self._measured(way, bundle, graph, images, searches))
            except RuntimeMissing:
                continue
            except (BundleDamaged, ParityError) as error:
                if not near:
                    raise
                self.remark(str(error))
        return tuple(near)

    def _measured(
        self, way: Way, bundle: Bundle, graph: EmbeddingGraph, images: NDArray[np.uint8], searches: Searches | None
    ) -> Parity:
        own = self.tolerance if way.computed is None else None
        allowed = own or TOLERANCES[way.precision(bundle)]
        parity = measure_parity(bundle, graph, images, way)
        allowed.check(parity)
        if searches is None:
            return parity
        scores = searches.by_bundle(way.open(bundle).run, bundle.manifest, parity.runtime)
        parity = parity.model_copy(update={"scores": scores})
        allowed.check(parity)
        return parity


def merged(known: Sequence[Parity], measured: Sequence[Parity]) -> tuple[Parity, ...]:
    """What is known of each runtime and precision, the newer of both; scores stay until there are newer."""
    found = {(each.runtime, each.precision): each for each in known}
    for each in measured:
        older = found.get((each.runtime, each.precision))
        scores = each.scores or (older and older.scores)
        found[each.runtime, each.precision] = each.model_copy(update={"scores": scores})
    return tuple(found.values())
