"""Which kind of index fits a gallery: what `auto` means."""

from __future__ import annotations

AUTO = "auto"
FLAT_FLOATS = 200_000 * 384  # 300 MB: one core compares a query with all of them in about 15 ms
BACK = 0.75  # the share of a step that a gallery must shrink below before it goes back: no rebuilding to and fro


def choose_index(size: int, dimension: int, current: str | None = None) -> tuple[str, str]:
    """Kind and reason, one sentence for operators, for `size` embeddings of a dimension.

    `current` is the kind in use: a gallery that shrank a little below a step keeps it.
    """
    step = FLAT_FLOATS // dimension
    if size <= (step if current != "ivf" else step * BACK):
        return "flat", f"{size:,} embeddings are few enough to compare each with the query, up to {step:,}"
    return "flat", f"{size:,} embeddings"
