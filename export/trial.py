"""Trial of a bundle in every runtime of this machine: on images, and by searching a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitreid.bundle import Bundle, BundleDamaged, Parity, RuntimeMissing
from vitreid.export.errors import ParityError
from vitreid.export.graph import EmbeddingGraph
from vitreid.export.parity_runtimes import REFERENCE, ParityRuntime
from vitreid.export.searches import Searches
from vitreid.export.tolerance import TOLERANCES, Tolerance
from vitreid.export.verify import measure_parity
from vitreid.training.datasets import Source
from vitreid.training.evaluation.embed import RetrievalModel


def _ignore(message: str) -> None:
    """Drop a warning."""


@dataclass(frozen=True)
class Trial:
    """Runtimes, tolerance and data set by which a bundle is tried.

    `tolerance` applies to the precision of the bundle and is that precision's by default; `data` is a data set to
    search. The first of `runtimes` must be close enough to the model; `warn` is called for others that are not.
    """

    tolerance: Tolerance | None = None
    data: Source | None = None
    runtimes: Sequence[ParityRuntime] = (REFERENCE,)
    warn: Callable[[str], None] = _ignore

    def searches(self, model: RetrievalModel) -> Searches | None:
        """Return the model's searches, with which those of the bundle are compared. Raises DataError."""
        return None if self.data is None else Searches.by_model(model, self.data)

    def parity(
        self, bundle: Bundle, graph: EmbeddingGraph, images: NDArray[np.uint8], searches: Searches | None
    ) -> tuple[Parity, ...]:
        """Return the parity on `images` (N, H, W, 3) of each installed runtime that is close enough.

        Raises ParityError if the first one is not.
        """
        close: list[Parity] = []
        for runtime in (runtime for runtime in self.runtimes if runtime.takes(bundle)):
            try:
                close.append(self._measured(runtime, bundle, graph, images, searches))
            except RuntimeMissing:
                continue
            except (BundleDamaged, ParityError) as error:
                if not close:
                    raise
                self.warn(str(error))
        return tuple(close)

    def _measured(
        self,
        runtime: ParityRuntime,
        bundle: Bundle,
        graph: EmbeddingGraph,
        images: NDArray[np.uint8],
        searches: Searches | None,
    ) -> Parity:
        own = self.tolerance if runtime.computed is None else None
        allowed = own or TOLERANCES[runtime.precision(bundle)]
        parity = measure_parity(bundle, graph, images, runtime)
        allowed.check(parity)
        if searches is None:
            return parity
        scores = searches.by_bundle(runtime.open(bundle).run, bundle.manifest, parity.runtime)
        parity = parity.model_copy(update={"scores": scores})
        allowed.check(parity)
        return parity


def merged(known: Sequence[Parity], measured: Sequence[Parity]) -> tuple[Parity, ...]:
    """Merge parities by runtime and precision, newer ones first; older scores stay until there are newer ones."""
    found = {(each.runtime, each.precision): each for each in known}
    for each in measured:
        older = found.get((each.runtime, each.precision))
        scores = each.scores or (older and older.scores)
        found[each.runtime, each.precision] = each.model_copy(update={"scores": scores})
    return tuple(found.values())
