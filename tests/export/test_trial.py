"""A bundle tried by images and searches, in several runtimes: what passes, what does not, and what is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from vitreid.bundle import Bundle, BundleDamaged, BundleRunner, Parity, ParityScores, RuntimeMissing
from vitreid.bundle.run_openvino import precisions
from vitreid.export.errors import ParityError
from vitreid.export.graph import EmbeddingGraph
from vitreid.export.images import drawn_images
from vitreid.export.parity_runtimes import PARITY_RUNTIMES, REFERENCE, ParityRuntime
from vitreid.export.tolerance import TOLERANCES, Tolerance, tolerance_of
from vitreid.export.trial import Trial, merged
from vitreid.synthetic import draw_dataset
from vitreid.training.datasets import Source
from vitreid.training.evaluation.embed import RetrievalModel

Change = Callable[[np.ndarray], np.ndarray]


class Changed:
    """The bundle's embeddings, changed."""

    def __init__(self, bundle: Bundle, change: Change) -> None:
        self._runner, self._change = BundleRunner(bundle, threads=1), change

    def run(self, *seen: np.ndarray) -> np.ndarray:
        return self._change(self._runner.run(*seen))


def runtime(change: Change, computed: str | None = None) -> ParityRuntime:
    return ParityRuntime(lambda: "made-up 1.0", lambda bundle: cast(BundleRunner, Changed(bundle, change)), computed)


def absent(bundle: Bundle) -> BundleRunner:
    raise RuntimeMissing("not installed")


def damaged(bundle: Bundle) -> BundleRunner:
    raise BundleDamaged("model.onnx does not load in made-up")


def noise(size: float) -> Change:
    return lambda rows: rows + np.random.default_rng(0).normal(0, size, rows.shape).astype(np.float32)


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.open(tiny_bundle)


@pytest.fixture
def model(bundle: Bundle) -> Callable[..., torch.Tensor]:
    """A stand-in for the network that gives what the bundle gives."""
    runner = BundleRunner(bundle, threads=1)
    return lambda *seen: torch.from_numpy(runner.run(*(each.numpy() for each in seen)))


@pytest.fixture(scope="module")
def images(tiny_bundle: Path) -> np.ndarray:
    return drawn_images(12, Bundle.open(tiny_bundle).manifest.image)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "people"
    draw_dataset(folder, identities=10, cameras=2, images=2, seed=0, workers=1)
    return folder


def test_every_runtime_here_is_measured(bundle: Bundle, model: EmbeddingGraph, images: np.ndarray) -> None:
    warnings: list[str] = []
    parity = Trial(runtimes=PARITY_RUNTIMES, warn=warnings.append).parity(bundle, model, images, None)
    computed = ["fp32", *precisions()]
    assert [each.precision for each in parity] == computed
    assert all(re.fullmatch(r"(onnxruntime|openvino) \d[\d.]* CPU", each.runtime) for each in parity)
    assert {each.images for each in parity} == {12}
    assert not warnings


def test_bf16_is_for_fp32_bundles(bundle: Bundle) -> None:
    int8 = Bundle(bundle.path, bundle.manifest.model_copy(update={"precision": "int8"}))
    assert [each.precision(bundle) for each in PARITY_RUNTIMES if each.takes(bundle)] == [
        "fp32",
        "fp32",
        "bf16",
    ]
    assert [each.precision(int8) for each in PARITY_RUNTIMES if each.takes(int8)] == ["int8", "int8"]


def test_others_than_the_reference_are_only_told_of(bundle: Bundle, model: EmbeddingGraph, images: np.ndarray) -> None:
    warnings: list[str] = []
    runtimes = (
        REFERENCE,
        ParityRuntime(lambda: "", absent),
        ParityRuntime(lambda: "", damaged),
        runtime(noise(0.1)),
        runtime(noise(1e-3), "bf16"),
    )
    parity = Trial(runtimes=runtimes, warn=warnings.append).parity(bundle, model, images, None)
    assert [(each.runtime, each.precision) for each in parity][1:] == [("made-up 1.0", "bf16")]
    assert warnings[0] == "model.onnx does not load in made-up"
    assert warnings[1].startswith("made-up 1.0 in fp32 is too far from torch on 12 images: by ")
    assert len(warnings) == 2


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            noise(0.1),
            r"by \d\.\d\de-01 \(at most 1e-05 allowed\), corrected cosine 0\.\d{7} \(at least 0.99999 need",
        ),
        (lambda rows: rows * np.nan, "images: it returns values that are not finite; take another precision"),
        (lambda rows: rows * 0, r"corrected cosine -0\.\d{7} \(at least"),
    ],
)
def test_a_reference_that_is_another_model(
    bundle: Bundle, model: EmbeddingGraph, images: np.ndarray, change: Change, told: str
) -> None:
    with pytest.raises(ParityError, match=told):
        Trial(runtimes=(runtime(change),)).parity(bundle, model, images, None)


def test_searches(bundle: Bundle, model: EmbeddingGraph, images: np.ndarray, people: Path) -> None:
    """A bundle that searches as its model does loses nothing; beside a model that finds all, it loses much."""
    trial = Trial(data=Source("market1501", people))
    runner = BundleRunner(bundle, threads=1)
    searches = trial.searches(RetrievalModel(runner.run, bundle.manifest.image, bundle.manifest.cameras))
    assert searches is not None
    scores = trial.parity(bundle, model, images, searches)[0].scores
    assert scores is not None
    assert (scores.data, scores.queries, scores.loss) == ("people", 20, 0)
    assert (scores.mAP, scores.rank1) == (searches.scores.mAP, searches.scores.rank(1))
    better = replace(searches, scores=replace(searches.scores, mAP=1.0))
    with pytest.raises(ParityError, match=r"mAP on people \d+\.\d\d instead of 100\.00 \(at most 0\.05 less allowed\)"):
        trial.parity(bundle, model, images, better)


def test_without_data_nothing_is_searched() -> None:
    assert Trial().searches(RetrievalModel(cast(Any, lambda *_: np.empty(0)), None)) is None


def found(**changes: Any) -> Parity:
    values = {"runtime": "r", "precision": "int8", "images": 3, "max_abs_difference": 0.0, "min_cosine": 1.0}
    values |= {"min_corrected_cosine": changes.get("min_cosine", 1.0)}
    return Parity.model_validate(values | changes)


def test_tolerance() -> None:
    scores = ParityScores(data="d", queries=9, mAP=0.4, rank1=0.4, model_mAP=0.404, model_rank1=0.5)
    tolerance = Tolerance(min_cosine=0.9, max_loss=0.005, max_abs_difference=0.1)
    assert tolerance.faults(found(min_cosine=0.9, max_abs_difference=0.1, scores=scores)) == []
    worse = scores.model_copy(update={"mAP": 0.398})
    assert tolerance.faults(found(min_cosine=0.89, max_abs_difference=0.2, scores=worse)) == [
        "by 2.00e-01 (at most 1e-01 allowed)",
        "corrected cosine 0.8900000 (at least 0.9 needed)",
        "mAP on d 39.80 instead of 40.40 (at most 0.50 less allowed)",
    ]
    better = scores.model_copy(update={"mAP": 0.5})
    assert tolerance.faults(found(scores=better)) == []


def test_tolerance_as_asked_for() -> None:
    assert tolerance_of("fp32") == TOLERANCES["fp32"]
    assert tolerance_of("int8", max_loss=0.1) == Tolerance(min_cosine=0.99, max_loss=0.1)
    assert tolerance_of("fp32", min_cosine=0.9) == Tolerance(min_cosine=0.9, max_loss=0.0005)


def test_what_is_measured_anew_takes_the_place_of_the_older() -> None:
    scores = ParityScores(data="d", queries=9, mAP=0.4, rank1=0.4, model_mAP=0.404, model_rank1=0.5)
    newer = scores.model_copy(update={"data": "e"})
    known = (found(min_cosine=0.5, scores=scores), found(runtime="other", min_cosine=0.6))
    assert merged(known, (found(min_cosine=0.9), found(precision="fp32", scores=newer))) == (
        found(min_cosine=0.9, scores=scores),
        found(runtime="other", min_cosine=0.6),
        found(precision="fp32", scores=newer),
    )
    assert merged(known, (found(scores=newer),))[0].scores == newer
