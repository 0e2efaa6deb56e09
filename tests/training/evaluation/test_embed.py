from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitreid.bundle import ImageSpec, read_image
from vitreid.training.config import TrainConfig
from vitreid.training.datasets import Split, read_dataset
from vitreid.training.errors import DataError
from vitreid.training.evaluation.embed import RetrievalModel, embed_samples, evaluate, model_run, open_retrieval_model
from vitreid.training.reid_task import reid_trainer

SPEC = ImageSpec(height=64, width=32)


def mean_color(images: np.ndarray, *_: np.ndarray) -> np.ndarray:
    colors = images.mean((1, 2)) - 128
    return np.asarray(colors / np.linalg.norm(colors, axis=1, keepdims=True), np.float32)


COLORS = RetrievalModel(mean_color, SPEC)


def test_persons_of_their_own_color_are_found(people: Path) -> None:
    scores = evaluate(read_dataset("market1501", people), COLORS)
    assert (scores.mAP, scores.rank(1), scores.queries, scores.gallery) == (1.0, 1.0, 8, 8)


def test_embeddings_come_in_the_samples_order(people: Path) -> None:
    samples = read_dataset("market1501", people).train * 9  # several batches
    seen: list[int] = []
    found = embed_samples(samples, COLORS, progress=lambda done, total: seen.append(done))
    expected = mean_color(np.stack([np.asarray(read_image(s.path)) for s in samples]), np.zeros(0))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert seen[-1] == len(samples)


def test_cameras_reach_the_model_by_their_index(people: Path) -> None:
    indices: list[int] = []

    def spy(images: np.ndarray, cameras: np.ndarray, views: np.ndarray) -> np.ndarray:
        indices.extend(cameras.tolist())
        assert views.tolist() == [-1, -1]
        return mean_color(images)

    samples = read_dataset("market1501", people).query[:2]
    embed_samples(samples, RetrievalModel(spy, SPEC, ("c7", "c2")))
    assert indices == [-1, 1]


def test_unknown_cameras_count_as_different(people: Path) -> None:
    split = read_dataset("market1501", people)
    blind = Split(
        *(
            tuple(s.__class__(s.path, s.person, None) for s in part)
            for part in (split.train, split.query, split.gallery)
        )
    )
    assert evaluate(blind, COLORS).queries == 8


@pytest.mark.parametrize("missing", ["query", "gallery"])
def test_nothing_to_score(people: Path, missing: str) -> None:
    split = read_dataset("market1501", people)
    parts: dict[str, Any] = {"query": split.query, "gallery": split.gallery, missing: ()}
    with pytest.raises(DataError, match=f"no {missing} images"):
        evaluate(Split(split.train, **parts), COLORS)


def test_a_checkpoint_scores_as_the_network_did(config: TrainConfig, people: Path, tmp_path: Path) -> None:
    class Quiet:
        def step(self, progress: object) -> None: ...
        def epoch(self, record: object) -> None: ...

    split = read_dataset("market1501", people)
    trainer = reid_trainer(config.model_copy(update={"epochs": 1}), split, "people", torch.device("cpu"))
    trainer.run(tmp_path / "run", Quiet())
    embedder = open_retrieval_model(tmp_path / "run")
    scores = evaluate(split, embedder)
    assert (embedder.image, embedder.cameras) == (SPEC, ())  # it has no side information, whatever it trained on
    assert scores.mAP == pytest.approx(trainer.history[-1]["mAP"], abs=1e-6)


def test_evaluation_leaves_the_mode_as_it_was(config: TrainConfig, people: Path) -> None:
    model = reid_trainer(config, read_dataset("market1501", people), "people", torch.device("cpu")).task.network
    model.train()
    unknown = np.full(2, -1)
    model_run(model, torch.device("cpu"))(np.zeros((2, 64, 32, 3), np.uint8), unknown, unknown)
    assert model.training


def test_cameras_of_one_data_set_of_several() -> None:
    embedder = RetrievalModel(lambda *_: np.zeros((1, 1), np.float32), ImageSpec(height=8, width=8), ("a/c1", "b/c1"))
    assert embedder.at_cameras_of("b").cameras == ("a/c1", "c1")  # in their places
    assert embedder.at_cameras_of("other").cameras == ("a/c1", "b/c1")
    assert embedder.at_cameras_of(None).cameras == ()
