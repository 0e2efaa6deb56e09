"""The best candidates for a query: items, or groups of the items that share a label."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vitreid.service.gallery import Item, Match
from vitreid.service.gallery.filters import Filter
from vitreid.service.gallery.gallery import Gallery
from vitreid.service.search.request import GroupBy

PER_GROUP = 4  # items searched for per missing group in each round


@dataclass(frozen=True)
class Candidate:
    """An item, or a group of items represented by its best one."""

    match: Match
    label: str | None = None
    """The label that the group's items share; None: the item has no such label and is a group of its own."""
    rerank_distance: float | None = None
    """Distance after re-ranking, 0..1, lower is better; None: not re-ranked."""
    probability: float | None = None
    """Calibrated probability that it shows the query's person; None: not measured for such a pair."""
    group_size: int = 1
    """Items of the group that passed the filter, this one included."""


@dataclass(frozen=True)
class Grouping:
    """Grouping of items by one label."""

    label: Callable[[Item], str | None]
    only: Callable[[Filter, str], Filter]
    """Narrows a filter to one group."""

    def without(self, gallery: Gallery, where: Filter, labels: Iterable[str]) -> Filter:
        """Return the filter without some groups."""
        ids = {item_id for label in labels for item_id in gallery.ids(self.only(where, label))}
        return replace(where, exclude_ids=where.exclude_ids | ids)


class ByCamera(Grouping):
    """Grouping by camera, excluded by name: a camera has too many items to list their ids."""

    def without(self, gallery: Gallery, where: Filter, labels: Iterable[str]) -> Filter:
        """Return the filter without some cameras."""
        return replace(where, exclude_cameras=where.exclude_cameras.union(labels))


GROUPINGS: dict[GroupBy, Grouping] = {
    "person": Grouping(lambda item: item.person_id, lambda where, label: replace(where, person_id=label)),
    "track": Grouping(lambda item: item.track_id, lambda where, label: replace(where, track_id=label)),
    "camera": ByCamera(lambda item: item.camera_id, lambda where, label: replace(where, cameras=frozenset([label]))),
}
"""By name; `item` is not among them: every item is a candidate."""


def best_candidates(
    gallery: Gallery, embedding: NDArray[np.float32], count: int, *, where: Filter, group_by: GroupBy
) -> list[Candidate]:
    """Return the best `count` candidates for a unit embedding (D,), best first; fewer only if no more exist."""
    if group_by in GROUPINGS:
        return _best_groups(gallery, embedding, count, where, GROUPINGS[group_by])
    [matches] = gallery.search(embedding[None], count, where=where)
    return [Candidate(match) for match in matches]


def group_size(gallery: Gallery, candidate: Candidate, *, where: Filter, group_by: GroupBy) -> int:
    """Count the items of a candidate's group that pass the filter."""
    if candidate.label is None:
        return 1
    return gallery.count(GROUPINGS[group_by].only(where, candidate.label))


def _best_groups(
    gallery: Gallery, embedding: NDArray[np.float32], count: int, where: Filter, grouping: Grouping
) -> list[Candidate]:
    """Search again without the groups found so far, until there are enough or nothing is left.

    Exact: a later round finds no higher score than an earlier one.
    """
    candidates: list[Candidate] = []
    left = where
    while len(candidates) < count:
        wanted = PER_GROUP * (count - len(candidates))
        [matches] = gallery.search(embedding[None], wanted, where=left)
        groups: dict[str | int, Candidate] = {}
        for match in matches:
            label = grouping.label(match.item)
            groups.setdefault(match.item.id if label is None else label, Candidate(match, label))
        candidates += groups.values()
        if len(matches) < wanted or len(candidates) >= count:
            break
        left = grouping.without(gallery, left, [each.label for each in groups.values() if each.label is not None])
        unlabelled = frozenset(each.match.item.id for each in groups.values() if each.label is None)
        left = replace(left, exclude_ids=left.exclude_ids | unlabelled)
    return candidates[:count]
