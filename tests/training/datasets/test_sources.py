"""Several data sets at once: nobody of one becomes somebody of another."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vitreid.bundle.name_pattern import NamePattern
from vitreid.training.datasets import Source, Sources
from vitreid.training.errors import DataError


@pytest.fixture
def two(tmp_path: Path, touch: Callable[..., None]) -> tuple[Source, Source]:
    touch(tmp_path / "market" / "bounding_box_train" / "0002_c1s1_000451_03.jpg")
    touch(tmp_path / "market" / "query" / "0001_c1s1_001051_00.jpg")
    touch(tmp_path / "market" / "bounding_box_test" / "0001_c2s1_001051_00.jpg")
    touch(tmp_path / "own" / "0002" / "1.jpg", tmp_path / "own" / "0003" / "x_c1_2.jpg")
    return Source("market1501", tmp_path / "market"), Source("folders", tmp_path / "own")


def test_one_alone_keeps_its_names(two: tuple[Source, Source]) -> None:
    alone = Sources((two[0],))
    assert alone.read() == two[0].read()
    assert (alone.name, alone.dataset) == ("market", "market1501")


def test_persons_and_cameras_are_kept_apart(two: tuple[Source, Source]) -> None:
    both = Sources(two)
    assert (both.name, both.dataset) == ("market+own", "market1501+folders")
    split = both.read()
    assert split.train_persons() == ("market/0002", "own/0002", "own/0003")
    assert split.train_cameras() == ("own/c1", "market/c1")
    assert [sample.camera for sample in split.train] == ["market/c1", None, "own/c1"]
    assert [sample.person for sample in (*split.query, *split.gallery)] == ["market/0001", "market/0001"]


def test_scored_on_another_one(two: tuple[Source, Source]) -> None:
    market, own = two
    other = Sources((own,), market)
    assert (other.name, other.dataset) == ("own, tested on market", "folders")
    split = other.read()
    assert split.train_cameras() == ("own/c1",)
    assert [(s.person, s.camera) for s in split.query] == [("market/0001", "market/c1")]  # a camera not learned
    assert len(split.gallery) == 1


def test_equal_names_are_refused(two: tuple[Source, Source], tmp_path: Path) -> None:
    other = Source("market1501", tmp_path / "copy" / "market")
    shutil.copytree(two[0].path, other.path)
    with pytest.raises(DataError, match="two data sets are called market"):
        Sources((two[0], other)).read()
    with pytest.raises(DataError, match="two data sets are called market"):  # its cameras would seem to be learned
        Sources((two[0],), other).read()
    Sources((two[0],), two[0]).read()  # itself is no other one


@pytest.mark.parametrize(
    ("text", "dataset", "path"),
    [
        ("market", "folders", "market"),
        ("msmt17=data/MSMT17", "msmt17", "data/MSMT17"),
        ("./a=b", "folders", "./a=b"),
        ("/data/a=b", "folders", "/data/a=b"),
    ],
)
def test_how_a_source_is_written(text: str, dataset: str, path: str) -> None:
    assert Source.parse(text, "folders") == Source(dataset, Path(path))


def test_what_the_options_say() -> None:
    assert Sources.parse(["a", "msmt17=b"], "c", "folders") == Sources(
        (Source("folders", Path("a")), Source("msmt17", Path("b"))), Source("folders", Path("c"))
    )


def test_what_a_folder_looks_like_decides_where_nobody_says(tmp_path: Path) -> None:
    (tmp_path / "own.csv").touch()
    (tmp_path / "a=b").mkdir()
    pattern = NamePattern.parse("{camera}_*")
    assert Source.parse(str(tmp_path / "own.csv")).dataset == "table"
    assert Source.parse(str(tmp_path)).dataset == "market1501"
    assert Source.parse(str(tmp_path), None, pattern) == Source("folders", tmp_path, pattern)
    assert Source.parse(f"msmt17={tmp_path}", "folders") == Source("msmt17", tmp_path)
    assert Source.parse(str(tmp_path / "a=b"), "folders") == Source("folders", tmp_path / "a=b")


@pytest.mark.parametrize(
    ("files", "given", "fitting"),
    [
        (("anna/1.jpg", "ben/1.jpg"), "market1501", "folders"),
        (("train/anna/1.jpg", "query/ben/1.jpg"), "market1501", "folders"),
        (("query/0001_c1s1_1.jpg", "query/0002_c1s1_1.jpg"), "folders", "market1501"),
        (
            ("image_train/0001_c001_1.jpg", "image_query/0002_c001_1.jpg", "image_test/0002_c002_1.jpg"),
            "msmt17",
            "veri776",
        ),
    ],
)
def test_the_layout_that_fits_is_named(
    files: tuple[str, ...], given: str, fitting: str, tmp_path: Path, touch: Callable[..., None]
) -> None:
    touch(*(tmp_path / file for file in files))
    with pytest.raises(DataError, match=f"; read it as {fitting}: {fitting}={tmp_path}$"):
        Source(given, tmp_path).read()


def test_names_are_read_by_a_pattern(tmp_path: Path, touch: Callable[..., None]) -> None:
    names = ("gate_2026-05-01_10-00-00_1.jpg", "hall_2026-05-01_10-00-00_1.jpg")
    touch(*(tmp_path / "anna" / name for name in names), *(tmp_path / "ben" / "day 1" / name for name in names))
    split = Source.parse(f"folders={tmp_path}", None, NamePattern.parse("{camera}_{time:%Y-%m-%d_%H-%M-%S}_*")).read()
    seen = [(sample.person, sample.camera) for sample in split.train]
    assert seen == [("anna", "gate"), ("anna", "hall"), ("ben", "gate"), ("ben", "hall")]
    assert split.left_out == ()
    with pytest.raises(DataError, match="a name pattern is for the data set folders, not for market1501"):
        Source.parse(f"market1501={tmp_path}", None, NamePattern.parse("{camera}_*")).read()


def test_names_of_nobody_are_left_out_and_not_called_after_their_folder(
    tmp_path: Path, touch: Callable[..., None]
) -> None:
    touch(*(tmp_path / "day 1" / name for name in ("0000_c1_a.jpg", "-1_c1_a.jpg", "0001_c1_a.jpg", "0001_c2_a.jpg")))
    split = Source.parse(f"folders={tmp_path}", None, NamePattern.parse("{person}_{camera}_*")).read()
    assert [(sample.person, sample.camera) for sample in split.train] == [("0001", "c1"), ("0001", "c2")]
    assert sorted(path.name for each in split.left_out for path in each.paths) == ["-1_c1_a.jpg", "0000_c1_a.jpg"]
    split = Source.parse(f"folders={tmp_path / 'day 1'}", None, NamePattern.parse("{person}_{camera}_*")).read()
    assert {sample.person for sample in split.train} == {"0001"}
