"""The ablation trains its rows, and its report calls a row better only if every seed agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablation, ablation_report
from benchmarks.ablation_rows import GROUPS, ROWS, Row
from vitreid.scoring import QueryScores
from vitreid.synthetic import draw_dataset
from vitreid.training.config import load_recipe

TINY = (
    "epochs=1",
    "model.options={embed_dim=16,depth=1,num_heads=2}",
    "model.stem=patch",
    "data.identities_per_batch=2",
    "data.samples_per_epoch=16",
)


def scores(average_precision: list[float]) -> QueryScores:
    """Return two queries of each person."""
    values = np.array(average_precision)
    numbers = np.arange(len(values))
    return QueryScores(numbers, numbers // 2, values, values, np.ones_like(numbers))


def save(runs: Path, name: str, seed: int, found: QueryScores) -> None:
    folder = runs / f"{name}-{seed}"
    folder.mkdir(parents=True)
    np.savez(folder / "scores.npz", minutes=2.0, **vars(found))


def test_every_row_is_a_recipe_and_compared_with_another_row() -> None:
    for row in ROWS.values():
        load_recipe(row.recipe, row.changes)
        assert row.against is None or row.against in ROWS
        assert row.against is None or row.seeds <= ROWS[row.against].seeds


def test_rows_have_distinct_names() -> None:
    assert len(ROWS) == sum(map(len, GROUPS.values()))


def test_the_first_seed_of_every_row_comes_first() -> None:
    jobs = ablation.planned(Path("data"), Path("runs"), ["stride", "baseline"])
    assert [(job.row.name, job.seed) for job in jobs[:3]] == [("baseline", 0), ("stride", 0), ("baseline", 1)]
    assert len(jobs) == ROWS["stride"].seeds + ROWS["baseline"].seeds


def test_a_run_is_scored_on_persons_that_did_not_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_dataset(tmp_path / "people", identities=10, train_identities=6, cameras=2, images=2, seed=0)
    monkeypatch.setattr(ablation, "HELD_OUT", 3)
    split = ablation.scored_split(tmp_path / "people")
    assert len(split.train_persons()) == 3
    assert len({sample.person for sample in split.query}) == 3 + 4
    assert not set(split.train_persons()) & {sample.person for sample in (*split.query, *split.gallery)}
    job = ablation.Job(Row("tiny", "cuhk03-small", changes=TINY), 1, tmp_path / "people", tmp_path / "runs")
    mean, minutes = ablation.run(job)
    stored = np.load(job.scores)
    assert mean == pytest.approx(stored["average_precision"].mean())
    assert len(stored["rows"]) == len(split.query)
    assert minutes == pytest.approx(float(stored["minutes"]))
    assert ablation.run(job)[0] == pytest.approx(mean)  # a trained run is only scored again


def test_a_difference_in_every_seed_is_reported(tmp_path: Path) -> None:
    for seed, gain in ((0, 0.2), (1, 0.3)):
        save(tmp_path, "baseline", seed, scores([0.1, 0.2, 0.3, 0.4]))
        save(tmp_path, "sie", seed, scores([0.1 + gain, 0.2 + gain, 0.3 + gain, 0.4 + gain]))
    found = ablation_report.read_runs(tmp_path)
    line = [*ablation_report.table(GROUPS["main"], found)][-1]
    assert line.startswith("| sie | 2 | 2.0 | 0.500 |")
    assert line.endswith("| baseline | +0.250 | +0.250 to +0.250 | +0.200, +0.300 | better |")


@pytest.mark.parametrize(
    ("gains", "verdict"), [((0.5, -0.1), "inconclusive"), ((-0.1, -0.1), "worse"), ((0.5,), "one seed")]
)
def test_verdicts(tmp_path: Path, gains: tuple[float, ...], verdict: str) -> None:
    for seed, gain in enumerate(gains):
        save(tmp_path, "baseline", seed, scores([0.2, 0.3, 0.4, 0.5]))
        save(tmp_path, "jpm", seed, scores([0.2 + gain, 0.3 + gain, 0.4 + gain, 0.5 + gain]))
    assert [*ablation_report.table(GROUPS["main"], ablation_report.read_runs(tmp_path))][-1].endswith(f"| {verdict} |")
