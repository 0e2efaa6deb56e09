"""Separation of persons against a slow loop, and the row of a run."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import ablation, relations
from benchmarks.ablation_rows import Row
from vitreid.synthetic import draw_dataset

TINY = (
    "epochs=1",
    "model.options={embed_dim=16,depth=1,num_heads=2}",
    "model.stem=patch",
    "data.identities_per_batch=2",
    "data.samples_per_epoch=16",
)


def test_separation_against_loops() -> None:
    random = np.random.default_rng(0)
    vectors, persons = random.normal(size=(9, 5)), np.array(list("aaabbbccc"))
    vectors[1] = vectors[0]
    found = relations.separation(torch.from_numpy(vectors), persons)
    pairs = [
        (np.linalg.norm(vectors[i] - vectors[j]), bool(persons[i] == persons[j])) for i, j in combinations(range(9), 2)
    ]
    within, between = ([distance for distance, same in pairs if same is wanted] for wanted in (True, False))
    assert found.within == pytest.approx(np.mean(within), abs=1e-6)
    assert found.between == pytest.approx(np.mean(between), abs=1e-6)
    assert found.closer == pytest.approx(np.mean([one < two for one, two in product(within, between)]), abs=1e-9)


def test_a_run_has_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_dataset(tmp_path / "people", identities=10, train_identities=6, cameras=2, images=2, seed=0)
    monkeypatch.setattr(ablation, "HELD_OUT", 3)
    job = ablation.Job(Row("tiny", "cuhk03-small-relative-bias", changes=TINY), 0, tmp_path / "people", tmp_path)
    ablation.run(job)
    samples = relations.chosen(ablation.scored_split(tmp_path / "people").train)
    assert len(samples) == 3 * relations.IMAGES_PER_PERSON
    vectors, embeddings = relations.seen(job.folder / "last", samples)
    assert vectors.shape == (12, 2 * 10)  # heads, pairs of five patches
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(12))
    assert relations.line(job.folder, samples).startswith("| tiny-0 | ")
