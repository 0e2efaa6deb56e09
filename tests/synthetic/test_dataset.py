import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitreid.synthetic import (
    DatasetSummary,
    FolderRefused,
    SyntheticError,
    contact_sheet,
    dataset,
    draw_dataset,
    image,
)

SMALL = (64, 32)
PARTS = ("bounding_box_train", "query", "bounding_box_test")


def content(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def draw(out: Path, **changes: Any) -> DatasetSummary:
    numbers = {"identities": 5, "cameras": 3, "images": 2, "seed": 7, "train_identities": 2, "size": SMALL}
    return draw_dataset(out, **{**numbers, **changes})


def test_layout_counts_and_names(tmp_path: Path) -> None:
    summary = draw(tmp_path / "set")
    assert (summary.train, summary.query, summary.gallery) == (12, 9, 9)
    assert (summary.identities, summary.cameras, summary.reused) == (5, 3, False)
    files = {part: sorted(f.name for f in (tmp_path / "set" / part).iterdir()) for part in PARTS}
    assert [len(files[part]) for part in PARTS] == [12, 9, 9]
    assert all(re.fullmatch(r"\d{4}_c[1-3]s1_\d{6}_00\.jpg", name) for names in files.values() for name in names)
    assert {name[:4] for name in files[PARTS[0]]} == {"0001", "0002"}
    assert {name[:4] for name in files["query"]} == {"0003", "0004", "0005"}
    assert Counter(name[:7] for name in files["query"]) == Counter(
        {f"{p:04d}_c{c}" for p in (3, 4, 5) for c in (1, 2, 3)}
    )
    described = json.loads((tmp_path / "set" / "synthetic.json").read_text())
    assert described["format_version"] == 1
    assert described["counts"] == {"train": 12, "query": 9, "gallery": 9}
    assert described["parameters"]["seed"] == 7
    assert [f.name for f in tmp_path.iterdir()] == ["set"]


def test_files_are_the_images(tmp_path: Path) -> None:
    draw(tmp_path / "set")
    with Image.open(tmp_path / "set" / "query" / "0004_c2s1_000001_00.jpg") as file:
        stored = np.asarray(file.convert("RGB"), np.float32)
    assert np.abs(stored - image(7, 4, 2, 0, SMALL).pixels).mean() < 6


def test_one_image_per_camera_gives_one_query_per_identity(tmp_path: Path) -> None:
    summary = draw(tmp_path / "set", images=1, identities=12, train_identities=0)
    assert (summary.train, summary.query, summary.gallery) == (0, 12, 24)
    queries = [f.name for f in (tmp_path / "set" / "query").iterdir()]
    assert sorted(name[:4] for name in queries) == [f"{p:04d}" for p in range(1, 13)]
    assert len({name.split("_")[1] for name in queries}) > 1
    gallery = Counter(f.name[:4] for f in (tmp_path / "set" / "bounding_box_test").iterdir())
    assert set(gallery.values()) == {2}


@pytest.mark.slow
def test_same_seed_same_bytes_for_any_number_of_workers_and_identities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitreid.synthetic.work.SMALL", 1)
    draw(tmp_path / "one", workers=1)
    draw(tmp_path / "two", workers=2)
    draw(tmp_path / "more", identities=7, workers=1)
    draw(tmp_path / "other", seed=8, workers=1)
    one, two, more, other = (content(tmp_path / name) for name in ("one", "two", "more", "other"))
    assert one == two
    images = {name: data for name, data in one.items() if name.endswith(".jpg")}
    assert images.items() <= more.items()
    assert images.keys() <= other.keys()
    assert not set(images.values()) & set(other.values())


def test_a_complete_folder_is_reused(tmp_path: Path) -> None:
    draw(tmp_path / "set")
    before = {f: f.stat().st_mtime_ns for f in (tmp_path / "set").rglob("*.jpg")}
    again = draw(tmp_path / "set")
    assert again.reused
    assert again.query == 9
    assert before == {f: f.stat().st_mtime_ns for f in (tmp_path / "set").rglob("*.jpg")}


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    assert not draw(tmp_path / "set").reused


def test_other_folders_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "set"
    draw(out)
    with pytest.raises(FolderRefused, match=r"seed 7 instead of 8.*new folder"):
        draw(out, seed=8)
    next((out / "query").iterdir()).unlink()
    with pytest.raises(FolderRefused, match=r"8 images instead of 9.*draw it again"):
        draw(out)
    (out / "synthetic.json").write_text("{", encoding="utf-8")
    with pytest.raises(FolderRefused, match=r"synthetic\.json.*new folder"):
        draw(out)
    (out / "synthetic.json").unlink()
    with pytest.raises(FolderRefused, match="not empty"):
        draw(out)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(FolderRefused, match="is a file"):
        draw(tmp_path / "file")
    with pytest.raises(FolderRefused, match="cannot be made"):
        draw(tmp_path / "file" / "set")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"identities": 0, "train_identities": 0}, "identities is 0"),
        ({"identities": 10_000}, "identities is 10000"),
        ({"cameras": 0}, "cameras is 0"),
        ({"cameras": 100}, "cameras is 100"),
        ({"images": 0}, "images is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"train_identities": 6}, "train_identities is 6; allowed are 0 to 5"),
        ({"size": (8, 32)}, "height is 8"),
        ({"workers": 0}, "workers is 0"),
        ({"images": 1, "cameras": 1}, "at least 2 cameras"),
    ],
)
def test_invalid_values_are_refused_in_a_line(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SyntheticError, match=named) as caught:
        draw(tmp_path / "set", **changes)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[BaseException]
) -> None:
    done: list[int] = []

    def fail(*_: Any) -> None:
        done.append(1)
        if len(done) == 3:
            raise failure

    with pytest.raises(failure):
        draw(tmp_path / "set", progress=fail)
    assert len(done) == 3
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_with_processes_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitreid.synthetic.work.SMALL", 1)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(tmp_path / "set", workers=2, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_all_images(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    draw(tmp_path / "set", progress=lambda done, total: seen.append((done, total)))
    assert seen == [(6 * k, 30) for k in range(1, 6)]


def test_parts_are_those_of_the_layout() -> None:
    assert (dataset.TRAIN, dataset.QUERY, dataset.GALLERY) == PARTS


def test_contact_sheet_of_images_and_of_a_folder(tmp_path: Path) -> None:
    rows = [[image(7, p, c, 0, SMALL).pixels for c in (1, 2, 3)] for p in (1, 2)]
    assert contact_sheet(rows, margin=4).size == (3 * 36 + 4, 2 * 68 + 4)
    draw(tmp_path / "set")
    assert contact_sheet(tmp_path / "set", persons=4, cameras=2, margin=0).size == (64, 256)
    with pytest.raises(SyntheticError, match="no images"):
        contact_sheet([])
    with pytest.raises(SyntheticError, match="no images"):
        contact_sheet(tmp_path)
