"""What is odd about a data set that can be trained on all the same: it teaches less than it seems to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from vitreid.training.datasets.split import Sample, Split
from vitreid.training.errors import DataError


def with_one_image(samples: Sequence[Sample]) -> list[str]:
    """The persons of whom there is a single image."""
    counts: dict[str, int] = defaultdict(int)
    for sample in samples:
        counts[sample.person] += 1
    return sorted(person for person, count in counts.items() if count == 1)


def before_one_camera(samples: Sequence[Sample]) -> list[str]:
    """The persons of several images who are seen by one known camera alone."""
    cameras: dict[str, set[str | None]] = defaultdict(set)
    for sample in samples:
        cameras[sample.person].add(sample.camera)
    alone = set(with_one_image(samples))
    return sorted(
        person for person, seen in cameras.items() if len(seen) == 1 and None not in seen and person not in alone
    )


def without_match(split: Split) -> list[Sample]:
    """The queries whose person no other camera sees in the gallery; they are not scored."""
    cameras: dict[str, set[str | None]] = defaultdict(set)
    for sample in split.gallery:
        cameras[sample.person].add(sample.camera)
    return [
        query
        for query in split.query
        if not any(camera is None or camera != query.camera for camera in cameras[query.person])
    ]


def check_files(samples: Iterable[Sample]) -> None:
    """Find missing files before anything is computed from the others. Raises DataError."""
    paths = dict.fromkeys(sample.path for sample in samples)
    if missing := [path for path in paths if not path.is_file()]:
        raise DataError(
            f"{missing[0]} is missing, and {len(missing):,} of {len(paths):,} images in all; "
            "put them back or take their rows out, `vitreid data check` lists them"
        )


def check_trainable(split: Split, name: str) -> None:
    """Refuse before the first step what could not be trained on or scored. Raises DataError."""
    if not split.train:
        raise DataError(f"{name} has no training images; give a data set with a training part")
    check_files((*split.train, *split.query, *split.gallery))
    if split.query and split.gallery and len(without_match(split)) == len(split.query):
        raise DataError(
            f"{name}: none of the {len(split.query)} queries has an image of its person by another camera in the "
            "gallery, so no epoch could be scored; see `vitreid data check`, or leave query and gallery out"
        )


def left_out_notes(split: Split) -> list[str]:
    """What was left out of a data set that its owner may have meant to be read, a line each reason."""
    return [
        f"left out: {len(each.paths):,} {each.reason}; the first is {each.paths[0]}"
        for each in split.left_out
        if each.noted
    ]


def data_warnings(split: Split, images_per_identity: int, side: str) -> list[str]:
    """What whoever starts a run should know of its data, a line each; the others are values of its recipe."""
    persons, cameras = len(split.train_persons()), split.train_cameras()
    told = []
    if alone := len(with_one_image(split.train)):
        told.append(
            f"{alone} of {persons} persons have one image: they come as {images_per_identity} copies of it, "
            "and no triplet pulls those together"
        )
    if len(cameras) == 1 and not any(sample.camera is None for sample in split.train):
        told.append(f"all training images are by one camera, {cameras[0]}: nothing is learned across cameras")
    for kind, known in (("camera", cameras), ("view", split.train_views())):
        if side in (kind, "both") and len(known) < 2:
            told.append(f"model.sie = {side!r} has no effect: the training images tell {len(known)} {kind}")
    told += left_out_notes(split)
    if not (split.query and split.gallery):
        told.append("there are no queries and gallery, so no epoch is scored and best/ is the last one")
    return told
