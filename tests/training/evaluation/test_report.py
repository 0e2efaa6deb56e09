"""Reports of `vitreid evaluate`, in JSON and as text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitreid import cli
from vitreid.scoring import Labelled, score_retrieval
from vitreid.scoring.reranking import Reranking, reranked_distances
from vitreid.synthetic import draw_dataset
from vitreid.training.datasets import Sample, Split
from vitreid.training.evaluation.report import PARTS, TEXTS, Evaluated, report, text

EVERY = [f"--{name.replace('_', '-')}" for name in PARTS]


def evaluated(cameras: list[str | None], *, copies: int = 1, seed: int = 0) -> Evaluated:
    """Persons with a place of their own, seen by each camera once in the gallery and `copies` times in the queries."""
    random = np.random.default_rng(seed)
    persons = 12
    centres = random.standard_normal((persons, 5))

    def part(name: str, times: int) -> tuple[tuple[Sample, ...], Labelled]:
        samples = tuple(
            Sample(Path(f"{p}.jpg"), str(p), camera) for p in range(persons) for camera in cameras for _ in range(times)
        )
        labels = [sample.person for sample in samples]
        seen_by = [sample.camera or f"unknown {name} {i}" for i, sample in enumerate(samples)]
        embeddings = centres[[int(label) for label in labels]] + random.standard_normal((len(samples), 5)) / 2
        return samples, Labelled.of(name, embeddings, labels, seen_by)

    (queries, query), (images, gallery) = part("query", copies), part("gallery", 1)
    seen, offered = ([np.eye(2, 4, dtype=np.float16)] * len(side) for side in (query, gallery))
    return Evaluated(Split((), queries, images), query, gallery, score_retrieval(query, gallery), (seen, offered))


def test_parts_and_texts_go_together() -> None:
    assert set(TEXTS) == {*PARTS, "comparison"}


def test_a_report_of_everything() -> None:
    one, other = evaluated(["c1", "c2", "c10"], copies=2), evaluated(["c1", "c2", "c10"], copies=2, seed=1)
    told = report(one, PARTS, other)
    assert json.loads(json.dumps(told)) == told
    assert told["mAP"] == one.scores.mAP
    assert told["intervals"]["mAP"]["low"] < told["mAP"] < told["intervals"]["mAP"]["high"]
    assert [(row["query_camera"], row["gallery_camera"]) for row in told["camera_pairs"]][:3] == [
        ("c1", "c2"),
        ("c1", "c10"),
        ("c2", "c1"),
    ]
    assert {row["enrolled"] for row in told["open_set"]} == {6}
    assert (told["multi_query"]["queries"], told["queries"]) == (36, 72)
    assert told["comparison"]["mAP"] == other.scores.mAP
    assert told["comparison"]["difference"]["mAP"]["value"] == pytest.approx(one.scores.mAP - other.scores.mAP)

    lines = list(text(told))
    assert lines[0].startswith(f"mAP {told['mAP']:.4f}  rank1 ")
    assert any(line.split() == ["c1", "c2", "c10"] for line in lines)
    assert any(line.split()[:2] == ["c1", "-"] for line in lines)  # a camera against itself
    low, high = (f"{told['intervals']['mAP'][end]:.4f}" for end in ("low", "high"))
    assert any(line.split() == ["mAP", low, high] for line in lines)
    assert any(line.startswith(f"multi-query  mAP {told['multi_query']['mAP']:.4f}") for line in lines)
    assert any(f"{told['comparison']['difference']['mINP']['value']:+.4f}" in line for line in lines)


def test_reranked_scores_stand_beside_the_plain_ones() -> None:
    one = evaluated(["c1", "c2", "c3"])
    unit = [
        side.embeddings / np.linalg.norm(side.embeddings, axis=1, keepdims=True) for side in (one.query, one.gallery)
    ]
    query, gallery = (
        Labelled(rows, side.persons, side.cameras) for rows, side in zip(unit, (one.query, one.gallery), strict=True)
    )
    one = Evaluated(one.split, query, gallery, score_retrieval(query, gallery))
    told = report(one, ["rerank"])
    distances = np.concatenate(list(reranked_distances(*unit)))
    numbers = {"k1": 20, "k2": 6, "lambda": 0.3}
    assert told["rerank"] == score_retrieval(query, gallery, scores=[-distances]).summary() | numbers
    assert told["rerank"]["mAP"] != told["mAP"] == one.scores.mAP
    assert list(text(told))[1].startswith(f"re-ranked (k1 20, k2 6, lambda 0.3)  mAP {told['rerank']['mAP']:.4f}")
    other = report(replace(one, reranking=Reranking(k1=5, k2=2, original_share=0.5)), ["rerank"])["rerank"]
    distances = np.concatenate(list(reranked_distances(*unit, k1=5, k2=2, original_share=0.5)))
    assert other["mAP"] == score_retrieval(query, gallery, scores=[-distances]).mAP
    assert (other["k1"], other["k2"], other["lambda"]) == (5, 2, 0.5)


def test_queries_that_are_not_scored_are_counted_in_the_text() -> None:
    lines = list(text({"mAP": 0.5, "queries": 3, "skipped": 2, "gallery": 9}))
    assert lines == ["mAP 0.5000  3 queries  2 skipped  9 gallery"]


def test_parts_with_nothing_to_tell_say_so_on_one_line() -> None:
    told = report(evaluated([None, None]), ["camera_pairs", "multi_query"])
    assert told["camera_pairs"].startswith("no person was seen by two known cameras")
    assert list(text(told))[1:] == [
        f"camera pairs: {told['camera_pairs']}",
        "multi query: every query is the only one of its person by its camera, so there is nothing to pool",
    ]


def test_images_of_unknown_cameras_stay_out_of_the_pairs() -> None:
    told = report(evaluated(["c1", "c2", None]), ["camera_pairs"])
    assert [(row["query_camera"], row["gallery_camera"]) for row in told["camera_pairs"]] == [
        ("c1", "c2"),
        ("c2", "c1"),
    ]


def test_a_comparison_of_different_queries() -> None:
    told = report(evaluated(["c1", "c2"]), [], evaluated(["c1", "c2"], copies=2))
    assert told["comparison"].startswith("the two models were not scored on the same queries")


def test_what_patches_add() -> None:
    one = evaluated(["c1", "c2", "c3"])
    told = report(one, ["patches"])
    # All patches are equal, so a share of every score is the same: the order stays.
    assert told["patches"]["mAP"] == pytest.approx(told["mAP"])
    assert told["patches"]["difference"]["mAP"]["value"] == pytest.approx(0)
    right = [np.roll(np.eye(1, 12, dtype=np.float16), int(person)) for person in one.query.persons]
    shown = [np.roll(np.eye(1, 12, dtype=np.float16), int(person)) for person in one.gallery.persons]
    told = report(replace(one, foregrounds=(right, shown)), ["patches"])  # patches that know the persons
    assert told["patches"]["difference"]["mAP"]["low"] > 0
    lines = list(text(told))
    assert lines[1].startswith(f"re-ranked by patches  mAP {told['patches']['mAP']:.4f}")
    assert lines[2].startswith("what patches add, intervals of 95 %")


def test_patches_need_a_bundle_that_tells_them(
    tiny_bundle: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model, reason in ((tiny_bundle, "has no explain.onnx"), (tmp_path, "--patches needs a bundle")):
        assert cli.run(["evaluate", str(model), "--data", str(people), "--patches"]) == 2
        assert reason in capsys.readouterr().err


@pytest.mark.slow
def test_the_command(explained_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = tmp_path / "people"
    draw_dataset(people, identities=16, cameras=3, images=2, seed=5, workers=1, size=(64, 32))
    command = ["evaluate", str(explained_bundle), "--data", str(people)]
    assert cli.run(command) == 0
    scores, note = capsys.readouterr().out.splitlines()
    assert scores.startswith("mAP ")
    assert "the model knows 2 of the cameras of these images (unknown: c3; it learned c1, c2)" in note
    assert cli.run([*command, "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {
        *("mAP", "rank1", "rank5", "rank10", "mINP"),
        *("queries", "skipped", "gallery", "sides"),
    }
    assert cli.run([*command, *EVERY, "--compare", str(explained_bundle), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {*PARTS, "comparison"} <= set(told)
    assert told["comparison"]["difference"]["mAP"] == {"value": 0, "low": 0, "high": 0, "below_zero": 0}
    assert cli.run([*command, *EVERY]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("intervals of 95 %") for line in lines)
    assert any(line.startswith("open set") for line in lines)
