"""Searches of a data set by the model and by its bundle: the cost of a precision in mAP."""

from __future__ import annotations

from dataclasses import dataclass

from vitreid.bundle import Manifest, ParityScores
from vitreid.scoring import RetrievalScores
from vitreid.terminal import progress_bar
from vitreid.training.cli.options import read_noted
from vitreid.training.datasets import Source, Split
from vitreid.training.evaluation.embed import RetrievalModel, Run, evaluate


@dataclass(frozen=True)
class Searches:
    """A data set and the model's scores on it. Its cameras are known to the model by their own names."""

    name: str
    split: Split
    scores: RetrievalScores

    @classmethod
    def by_model(cls, model: RetrievalModel, data: Source) -> Searches:
        """Search a data set with the model. Raises DataError if it cannot be read, or has no query or gallery."""
        split = read_noted(data)
        return cls(data.name, split, _evaluated(split, model, data.name, "torch"))

    def by_bundle(self, run: Run, manifest: Manifest, runtime: str) -> ParityScores:
        """Search it with a bundle's embeddings, by any runtime."""
        embedder = RetrievalModel(run, manifest.image, manifest.cameras, manifest.views)
        found = _evaluated(self.split, embedder, self.name, runtime)
        return ParityScores(
            data=self.name,
            queries=found.queries,
            mAP=found.mAP,
            rank1=found.rank(1),
            model_mAP=self.scores.mAP,
            model_rank1=self.scores.rank(1),
        )


def _evaluated(split: Split, embedder: RetrievalModel, name: str, who: str) -> RetrievalScores:
    with progress_bar(f"embedding by {who}") as progress:
        return evaluate(split, embedder.at_cameras_of(name), progress)
