"""What is told of data that teaches less than it seems to."""

from __future__ import annotations

from pathlib import Path

from vitreid.training.datasets import Sample, Split
from vitreid.training.datasets.warnings import before_one_camera, data_warnings, with_one_image, without_match


def samples(*seen: tuple[str, str | None]) -> tuple[Sample, ...]:
    return tuple(Sample(Path(f"{i}.jpg"), person, camera) for i, (person, camera) in enumerate(seen))


SOUND = Split(
    samples(("a", "c1"), ("a", "c2"), ("b", "c1"), ("b", "c2")), samples(("x", "c1")), samples(("x", "c2"), ("y", "c1"))
)


def told(split: Split, side: str = "none") -> str:
    return "; ".join(data_warnings(split, 4, side))


def test_sound_data_need_no_remark() -> None:
    assert told(SOUND, "camera") == ""


def test_persons_with_one_image_or_camera() -> None:
    train = samples(("a", "c1"), ("b", "c1"), ("b", "c1"), ("c", None), ("c", None), ("d", "c1"), ("d", "c2"))
    assert with_one_image(train) == ["a"]
    assert before_one_camera(train) == ["b"]  # who is seen by unknown cameras may be seen by several
    assert "1 of 4 persons have one image: they come as 4 copies" in told(Split(train, SOUND.query, SOUND.gallery))


def test_queries_without_a_match() -> None:
    query = samples(("x", "c1"), ("y", "c1"), ("z", "c1"), ("w", None), ("v", "c1"))
    gallery = samples(("x", "c2"), ("y", "c1"), ("w", None), ("v", None))
    assert [sample.person for sample in without_match(Split((), query, gallery))] == ["y", "z"]


def test_one_camera_and_side_information_that_is_not_there() -> None:
    train = samples(("a", "c1"), ("a", "c1"), ("b", "c1"), ("b", "c1"))
    lines = told(Split(train, SOUND.query, SOUND.gallery), "both")
    assert "all training images are by one camera, c1" in lines
    assert "model.sie = 'both' has no effect: the training images tell 1 camera" in lines
    assert "model.sie = 'both' has no effect: the training images tell 0 view" in lines


def test_nothing_to_score() -> None:
    assert "no epoch is scored" in told(Split(SOUND.train, (), ()))
