"""The cameras and views of images beside those that a model with side information learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vitreid.training.datasets import Sample

SHOWN = 6  # names on a line


@dataclass(frozen=True)
class SideLabels:
    """Cameras (or views): the names that images have, those of a model, and how many `images` have none that it knows.

    `unlabelled` counts images that say no name at all.
    """

    known: tuple[str, ...]
    unknown: tuple[str, ...]
    learned: tuple[str, ...]
    images: int
    unlabelled: int


def told_apart(side: str, cameras: tuple[str, ...], views: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The cameras and views of those learned that side information tells apart: none where it has one of them."""
    kinds = ((cameras, ("camera", "both")), (views, ("view", "both")))
    seen_by, seen_from = (names if side in sides and len(names) > 1 else () for names, sides in kinds)
    return seen_by, seen_from


def side_labels(samples: Sequence[Sample], *, cameras: Sequence[str], views: Sequence[str]) -> dict[str, SideLabels]:
    """By `cameras` and `views`, where a model learned any: what it makes of those of the samples."""
    parts = {"cameras": (cameras, [each.camera for each in samples]), "views": (views, [each.view for each in samples])}
    return {
        kind: SideLabels(
            known=_sorted(name for name in names if name in learned),
            unknown=_sorted(name for name in names if name is not None and name not in learned),
            learned=tuple(learned),
            images=sum(name not in learned for name in names),
            unlabelled=names.count(None),
        )
        for kind, (learned, names) in parts.items()
        if learned
    }


def side_warnings(labels: Mapping[str, SideLabels]) -> Iterator[str]:
    """A line for each kind of label that the model does not know of every image."""
    for kind, each in labels.items():
        if not each.images:
            continue
        found = f"none of the {kind}" if not each.known else f"{len(each.known)} of the {kind}"
        unlabelled = f", {each.unlabelled} images say none" if each.unlabelled else ""
        yield (
            f"the model knows {found} of these images (unknown: {_listed(each.unknown)}{unlabelled}; it learned "
            f"{_listed(each.learned)}): {each.images} images are embedded with the mean of all its {kind}"
        )


def side_notes(side: str, samples: Sequence[Sample], *, cameras: tuple[str, ...], views: tuple[str, ...]) -> list[str]:
    """What a network in training with such `side` information will not know of the samples that it is scored on."""
    seen_by, seen_from = told_apart(side, cameras, views)
    labels = side_labels(samples, cameras=seen_by, views=seen_from)
    return [f"in tests {line}" for line in side_warnings(labels)]


def _sorted(names: Iterator[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name is not None}, key=lambda name: (len(name), name)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more or "none"
