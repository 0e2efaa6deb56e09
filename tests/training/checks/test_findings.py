"""A data set with one made fault of each kind: that fault is found, and no other."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitreid import cli
from vitreid.training.checks import CHECKS, PUBLISHED, Finding, check, scan
from vitreid.training.cli import data as data_cli
from vitreid.training.datasets import DATASETS, Sample, Split, read_dataset

TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"


def save(path: Path, seed: int, size: tuple[int, int] = (32, 64)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Three persons train, two are sought, all by two cameras; nothing is wrong with them."""
    seed = 0
    for part, persons in ((TRAIN, (1, 2, 3)), (QUERY, (4, 5)), (GALLERY, (4, 5))):
        for person in persons:
            for camera in (1, 2):
                seed += 1
                save(tmp_path / "data" / part / f"{person:04d}_c{camera}s1_{seed:06d}_00.png", seed)
    return tmp_path / "data"


def findings(folder: Path, dataset: str = "market1501") -> list[Finding]:
    split = read_dataset(dataset, folder)
    return check(split, scan((*split.train, *split.query, *split.gallery)))


def test_a_sound_data_set(sound: Path) -> None:
    assert findings(sound) == []


def first(folder: Path, part: str) -> Path:
    return sorted((folder / part).iterdir())[0]


def truncated(folder: Path) -> None:
    first(folder, TRAIN).write_bytes(first(folder, TRAIN).read_bytes()[:100])


def shared_person(folder: Path) -> None:
    for camera in (1, 2):
        save(folder / TRAIN / f"0004_c{camera}s1_000900_00.png", 900 + camera)


def same_in_both(folder: Path) -> None:
    shutil.copy(first(folder, QUERY), folder / TRAIN / "0001_c1s1_000900_00.png")


def two_persons(folder: Path) -> None:
    shutil.copy(first(folder, TRAIN), folder / TRAIN / "0002_c1s1_000900_00.png")


def look_alike(folder: Path) -> None:
    Image.open(first(folder, QUERY)).resize((40, 80)).save(folder / TRAIN / "0001_c1s1_000900_00.jpg", quality=90)


def answered_by_itself(folder: Path) -> None:
    shutil.copy(first(folder, QUERY), folder / GALLERY / "0004_c2s1_000900_00.png")
    shutil.copy(first(folder, QUERY), folder / GALLERY / "0004_c1s1_000901_00.png")  # by its camera: is left out


def copied(folder: Path) -> None:
    shutil.copy(first(folder, TRAIN), folder / TRAIN / "0001_c1s1_000900_00.png")


def one_image(folder: Path) -> None:
    save(folder / TRAIN / "0008_c1s1_000900_00.png", 900)


def one_camera(folder: Path) -> None:
    for i in (1, 2):
        save(folder / TRAIN / f"0008_c1s1_00090{i}_00.png", 900 + i)


def unanswerable(folder: Path) -> None:
    save(folder / QUERY / "0009_c1s1_000900_00.png", 900)
    save(folder / GALLERY / "0009_c1s1_000901_00.png", 901)


def tiny(folder: Path) -> None:
    save(folder / TRAIN / "0001_c1s1_000900_00.png", 900, (16, 32))


def wide(folder: Path) -> None:
    save(folder / TRAIN / "0001_c1s1_000900_00.png", 900, (90, 60))


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "unreadable": (truncated, r"0001_c1s1_000001_00\.png: is damaged"),
    "shared_persons": (shared_person, "^0004$"),
    "same_in_train_and_test": (same_in_both, r"0001_c1s1_000900_00\.png = query/0004"),
    "two_persons": (two_persons, r"000001_00\.png is 0001, .*000900_00\.png is 0002"),
    "answered_by_itself": (answered_by_itself, r"^query/0004_c1.*\.png = bounding_box_test/0004_c2s1_000900_00\.png$"),
    "near_duplicates": (look_alike, r"000900_00\.jpg ~ query/0004"),
    "copies": (copied, r"000001_00\.png = .*000900_00\.png"),
    "one_image": (one_image, "^0008$"),
    "one_camera": (one_camera, "^0008$"),
    "unanswerable": (unanswerable, "^query/0009"),
    "tiny": (tiny, "000900_00.png: 32x16$"),
    "odd": (wide, "000900_00.png: 60x90$"),
}
BESIDE = {
    "same_in_train_and_test": {"two_persons"},  # a copy of another person's image is both
    "two_persons": {"copies"},
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_made_fault_is_found(kind: str, sound: Path) -> None:
    make, case = FAULTS[kind]
    make(sound)
    found = {finding.kind: finding for finding in findings(sound)}
    assert set(found) == {kind} | BESIDE.get(kind, set())
    assert found[kind].level == CHECKS[kind].level
    assert len(found[kind].cases) == 1
    assert re.search(case, found[kind].cases[0])


def test_a_path_that_no_file_can_have(sound: Path) -> None:
    table = sound / "table.csv"
    table.write_bytes(b"path,person_id\nquery/a\0.jpg,1\n")
    [found] = [each for each in findings(table, "table") if each.level == "error"]
    assert (found.kind, len(found.cases)) == ("unreadable", 1)


def test_cameras_missing_from_names(tmp_path: Path) -> None:
    for person in ("anna", "ben"):
        for i in (1, 2):
            save(tmp_path / person / f"{i}.png", len(person) * 10 + i)
    assert {finding.kind for finding in findings(tmp_path, "folders")} == {"no_camera"}


def test_a_missing_file(sound: Path, tmp_path: Path) -> None:
    split = read_dataset("market1501", sound)
    gone = Sample(tmp_path / "gone.jpg", "0001", "c1")
    [finding] = check(Split((*split.train, gone), (), ()), scan((*split.train, gone)))
    assert (finding.kind, finding.cases) == (
        "unreadable",
        (f"{gone.path}: cannot be read (No such file or directory)",),
    )


def test_published_counts(sound: Path) -> None:
    split = read_dataset("market1501", sound)
    scanned = scan((*split.train, *split.query, *split.gallery))
    [finding] = check(split, scanned, PUBLISHED["cuhk03"])
    assert (finding.kind, len(finding.cases)) == ("counts", 6)
    assert finding.cases[0] == "train: 6 images, CUHK03-NP detected has 7,365"
    assert set(PUBLISHED) <= set(DATASETS)


def test_an_empty_data_set() -> None:
    assert check(Split((), (), ()), scan([])) == []


def test_the_command(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["data", "check", str(sound)]) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    tiny(sound)
    assert cli.run(["data", "check", str(sound)]) == 0  # a warning alone
    assert "warning          1  images with a side of less than 20 pixels" in capsys.readouterr().out
    truncated(sound)
    assert cli.run(["data", "check", str(sound), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["parts"]["train"] == {"images": 7, "persons": 3, "cameras": 2}
    assert [(each["level"], each["kind"], each["count"]) for each in told["findings"]] == [
        ("error", "unreadable", 1),
        ("warning", "tiny", 1),
    ]
    assert cli.run(["data", "check", str(sound), "--dataset", "market1501"]) == 1
    assert "numbers are not those published" in capsys.readouterr().out
    assert cli.run(["data", "check", str(sound), "--dataset", "msmt17"]) == 2
    assert capsys.readouterr().err.startswith("vitreid: ")


def test_ctrl_c_ends_the_threads(
    sound: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    before = threading.active_count()
    split = read_dataset("market1501", sound)
    with pytest.raises(KeyboardInterrupt):
        scan(split.train, interrupted)
    assert threading.active_count() == before
    monkeypatch.setattr(data_cli, "scan", lambda samples, progress: scan(samples, interrupted))
    assert cli.run(["data", "check", str(sound)]) == 130
    assert "Traceback" not in capsys.readouterr().err
