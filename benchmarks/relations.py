"""Separation of persons by the relation vectors of the relation losses, in runs of `benchmarks.ablation`.

    python -m benchmarks.relations DATA RUN [RUN ...]

Prints for every run the mean Euclidean distance between relation vectors of images of one training person and of two
persons, the probability that a pair of one person is closer (0.5 is chance), and the latter for the embeddings.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.ablation import scored_split
from vitreid.training.checkpoint import Checkpoint
from vitreid.training.datasets import Sample
from vitreid.training.evaluation.embed import batches, open_retrieval_model
from vitreid.training.losses import LossBatch
from vitreid.training.losses.relation import top_patch_relations
from vitreid.training.losses.triplet import pairwise_distance

PERSONS, IMAGES_PER_PERSON = 100, 4
TOP, PAIRS = 5, "combinations"
HEADER = (
    "| run | mean length | distance, one person | distance, two | one person is closer | by embeddings |"
    "\n|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Separation:
    """Mean distances within and between persons, and the probability that a distance within is smaller."""

    within: float
    between: float
    closer: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    options = parser.parse_args()
    samples = chosen(scored_split(options.data).train)
    print(HEADER)
    for run in options.runs:
        print(line(run, samples))


def chosen(samples: Sequence[Sample]) -> list[Sample]:
    """Return the first images of the first persons."""
    by_person: dict[str, list[Sample]] = {}
    for sample in samples:
        by_person.setdefault(sample.person, []).append(sample)
    enough = [each[:IMAGES_PER_PERSON] for each in by_person.values() if len(each) >= IMAGES_PER_PERSON]
    return [sample for each in enough[:PERSONS] for sample in each]


def line(run: Path, samples: list[Sample]) -> str:
    """Return a run's row of the table."""
    relations, embeddings = seen(run / "last", samples)
    persons = np.array([sample.person for sample in samples])
    found, usual = separation(relations, persons), separation(embeddings, persons)
    length = relations.norm(dim=1).mean().item()
    cells = (run.name, f"{length:.3f}", f"{found.within:.4f}", f"{found.between:.4f}")
    return f"| {' | '.join(cells)} | {found.closer:.3f} | {usual.closer:.3f} |"


@torch.inference_mode()
def seen(checkpoint: Path, samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Return relation vectors (N, maps x pairs) and unit embeddings (N, D) of images."""
    model = Checkpoint.open(checkpoint).load_model().eval()
    relations, embeddings = [], []
    for batch in batches(samples, open_retrieval_model(checkpoint)):
        images, cameras, views = (torch.from_numpy(part) for part in batch)
        features = model.backbone(model.normalise(images), cameras, views)
        output, nobody = model.output(features), torch.zeros(len(images), dtype=torch.long)
        inputs = LossBatch(output.branches, nobody, nobody, output.tokens)
        relations.append(top_patch_relations(inputs, top=TOP, pairs=PAIRS).flatten(1))
        embeddings.append(model.concat_features(features.all))
    return torch.cat(relations), torch.cat(embeddings)


def separation(vectors: Tensor, persons: NDArray[np.str_]) -> Separation:
    """Return the separation of vectors (N, D) by person."""
    distances = pairwise_distance(vectors).numpy()
    above = np.triu(np.ones(distances.shape, dtype=bool), 1)
    same = persons[:, None] == persons[None]
    within, between = distances[above & same], np.sort(distances[above & ~same])
    farther = len(between) - (np.searchsorted(between, within, "left") + np.searchsorted(between, within, "right")) / 2
    return Separation(float(within.mean()), float(between.mean()), float(farther.mean() / len(between)))


if __name__ == "__main__":
    main()
