"""Query, gallery and train of a data set without parts."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from vitreid import cli
from vitreid.training.datasets import Split, read_dataset
from vitreid.training.datasets.warnings import without_match

Touch = Callable[..., None]


@pytest.fixture
def own(tmp_path: Path, touch: Touch) -> Path:
    """Ten persons by two cameras each, with two images by the first, and one who is seen once."""
    for person in range(10):
        names = (f"gate/{person}_1.jpg", f"gate/{person}_2.jpg", f"hall/{person}_3.jpg")
        touch(*(tmp_path / "own" / f"p{person}" / name for name in names))
    touch(tmp_path / "own" / "once" / "gate" / "1.jpg")
    return tmp_path / "own"


def persons(split: Split) -> tuple[set[str], set[str], set[str]]:
    train, query, gallery = ({sample.person for sample in part} for part in (split.train, split.query, split.gallery))
    return train, query, gallery


@pytest.mark.parametrize("out", ["parts.csv", "market"])
def test_persons_are_apart_and_every_query_has_an_answer(own: Path, out: str) -> None:
    folder = own.parent
    assert cli.run(["data", "split", str(own), "--out", str(folder / out), "--test-persons", "4"]) == 0
    split = read_dataset("table" if out.endswith("csv") else "market1501", folder / out)
    train, query, gallery = persons(split)
    assert (len(train), query, len(gallery)) == (7, gallery, 4)
    assert not train & query
    assert len(split.samples) == 31
    assert without_match(split) == []
    assert all(sample.path.is_file() for sample in split.samples)


def test_one_seed_gives_one_division(own: Path) -> None:
    folder = own.parent
    for name, seed in (("a.csv", "1"), ("b.csv", "1"), ("c.csv", "2")):
        assert cli.run(["data", "split", f"folders={own}", "--out", str(folder / name), "--seed", seed]) == 0
    assert (folder / "a.csv").read_text() == (folder / "b.csv").read_text()
    assert persons(read_dataset("table", folder / "a.csv")) != persons(read_dataset("table", folder / "c.csv"))
    assert cli.run(["data", "split", str(folder / "a.csv"), "--out", str(folder / "again.csv")]) == 0
    assert len(read_dataset("table", folder / "again.csv").samples) == 31


def test_names_of_before_are_kept(own: Path) -> None:
    out = own.parent / "market"
    assert cli.run(["data", "split", str(own), "--out", str(out)]) == 0
    with (out / "names.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 31
    assert all((out / row["path"]).read_bytes() == Path(row["source"]).read_bytes() for row in rows)
    assert {row["camera_id"] for row in rows} == {"gate", "hall"}


@pytest.mark.parametrize("out", ["parts.csv", "market"])
def test_no_cell_is_a_formula_and_all_are_read_again(tmp_path: Path, touch: Touch, out: str) -> None:
    touch(*(tmp_path / "own" / f"=p{person}" / camera / f"{person}.jpg" for person in "123" for camera in ("-a", "@b")))
    assert cli.run(["data", "split", str(tmp_path / "own"), "--out", str(tmp_path / out)]) == 0
    table = tmp_path / out if out.endswith("csv") else tmp_path / out / "names.csv"
    with table.open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "-", "@"))] == []
    assert "'=p1" in cells
    if out.endswith("csv"):
        samples = read_dataset("table", table).samples
        assert {(sample.person, sample.camera) for sample in samples} == {
            (f"=p{person}", camera) for person in "123" for camera in ("-a", "@b")
        }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--test-persons", "11"], "11 persons for the test, but 10 have images by two cameras"),
        (["--test-persons", "0"], "0 persons for the test"),
        (["--name-pattern", "{camera}-*"], "31 of 31 names do not follow the name pattern"),
    ],
)
def test_what_is_refused_writes_nothing(
    own: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["data", "split", str(own), "--out", str(own.parent / "out"), *arguments]) == 2
    assert told in capsys.readouterr().err
    assert [path.name for path in own.parent.iterdir()] == ["own"]


def test_cameras_that_market_names_cannot_say(tmp_path: Path, touch: Touch, capsys: pytest.CaptureFixture[str]) -> None:
    touch(*(tmp_path / "own" / person / f"{i}.jpg" for person in "ab" for i in range(3)))
    arguments = ["data", "split", str(tmp_path / "own")]
    assert cli.run([*arguments, "--out", str(tmp_path / "market")]) == 2
    assert "6 images tell no camera, which Market-1501's names need" in capsys.readouterr().err
    assert cli.run([*arguments, "--out", str(tmp_path / "own.csv")]) == 0  # unknown cameras count as different ones
    assert cli.run([*arguments, "--out", str(tmp_path / "own.csv")]) == 2
    assert "own.csv is there already" in capsys.readouterr().err


def test_a_dry_run_shows_what_was_read(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["data", "split", str(own), "--out", str(own.parent / "out.csv"), "--dry-run"]
    assert cli.run([*arguments, "--name-pattern", "{camera}/*_*"]) == 2  # the one who is seen once has another name
    capsys.readouterr()
    assert cli.run([*arguments, "--name-pattern", "{camera}/*"]) == 0
    told = capsys.readouterr().out
    assert "once/gate/1.jpg: person once, camera gate" in told
    assert "out.csv: would be written" in told
    assert not (own.parent / "out.csv").exists()
    assert cli.run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["parts"]["query"]["persons"] == 5
