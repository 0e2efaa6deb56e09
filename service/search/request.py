"""What is asked of a gallery about one person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vitreid.service.errors import BadParameter
from vitreid.service.gallery.filters import EVERYTHING, Filter

GroupBy = Literal["item", "person", "track", "camera"]
Rerank = Literal["none", "k-reciprocal", "patches"]
RERANK_TOP: dict[Rerank, int] = {"none": 0, "k-reciprocal": 100, "patches": 50}
"""How many of the best candidates are re-ranked where nobody says."""
MOST_RERANKED = 500
MOST_EXPANDED = 100


@dataclass(frozen=True)
class SearchRequest:
    """One search. Raises BadParameter for options that contradict each other."""

    k: int = 10
    """Candidates at most: items, or groups of items."""
    where: Filter = EVERYTHING
    """Which items are searched."""
    min_score: float | None = None
    """Candidates below are left out; None: none is."""
    group_by: GroupBy = "item"
    """What is one candidate: an item, or all items of one label."""
    rerank: Rerank = "none"
    """How the best candidates are put into a better order."""
    rerank_top: int | None = None
    """How many of the best are looked at for that; None: as many as RERANK_TOP says."""
    rerank_k1: int | None = None
    """Of k-reciprocal re-ranking, as the two below; None: the published number."""
    rerank_k2: int | None = None
    rerank_lambda: float | None = None
    expand: int = 0
    """How many of the best items the query is averaged with before it is asked again."""

    def __post_init__(self) -> None:
        if self.rerank == "none" and self.rerank_top is not None:
            raise BadParameter(f"rerank_top {self.rerank_top} without rerank; give rerank=k-reciprocal or patches")
        if self.rerank != "k-reciprocal" and self.rerank_numbers:
            raise BadParameter(
                "rerank_k1, rerank_k2 and rerank_lambda are of rerank=k-reciprocal; give it or leave them"
            )

    @property
    def depth(self) -> int:
        """How many candidates must be found so that the best k are known."""
        return max(self.k, self.reranked)

    @property
    def reranked(self) -> int:
        """How many candidates are re-ranked."""
        return self.rerank_top or RERANK_TOP[self.rerank]

    @property
    def rerank_numbers(self) -> dict[str, float]:
        """Those of k-reciprocal re-ranking that were asked for, as `reranked_distances` calls them."""
        numbers = {"k1": self.rerank_k1, "k2": self.rerank_k2, "original_share": self.rerank_lambda}
        return {name: value for name, value in numbers.items() if value is not None}
