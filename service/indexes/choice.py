"""Which kind of index fits a gallery, and when one must be built again."""

from __future__ import annotations

from vitreid.service.indexes.gpu import gpu_problem
from vitreid.service.indexes.protocol import Index

AUTO = "auto"
FLAT_BYTES = 200_000 * 384 * 4  # one core compares a query with all of them in about 20 ms
GPU_BYTES = 4 << 30  # leaves room for the model, and lies in the computer's memory as well
HYSTERESIS = 0.75  # of a limit, below which a gallery goes back over it: no rebuilding to and fro
GROWTH = 4  # times the size that an index was tuned with
FIRST_TUNING = 10_000  # embeddings up to which nothing needs to be tuned
GARBAGE_LEAST = 1000
GARBAGE_SHARE = 0.2  # of all embeddings that lie in memory


def choose_index(size: int, dimension: int, current: str | None = None) -> tuple[str, str]:
    """Kind and reason, a sentence for operators, for `size` embeddings of a dimension.

    `current` is the kind in use, which a gallery keeps that shrank only a little below a limit.
    """
    flat_limit, gpu_limit = (limit // (dimension * 4) for limit in (FLAT_BYTES, GPU_BYTES))
    if current in ("ivf", "gpu"):
        flat_limit = int(flat_limit * HYSTERESIS)
    if current == "ivf":
        gpu_limit = int(gpu_limit * HYSTERESIS)
    if size <= flat_limit:
        return (
            "flat",
            f"{size:,} embeddings, up to {flat_limit:,}, are all compared with a query: exact and fast enough",
        )
    problem = gpu_problem()
    if problem is None and size <= gpu_limit:
        return "gpu", f"{size:,} embeddings, up to {gpu_limit:,}, are all compared with a query on the GPU: exact"
    why = f"more than {gpu_limit:,} for the GPU" if problem is None else f"more than {flat_limit:,} without a GPU"
    return "ivf", f"{size:,} embeddings, {why}, are too many to compare all: those in the nearest lists are"


def rebuild_reason(index: Index) -> str | None:
    """Why this index should be built again, a sentence for operators, or None."""
    size, garbage = len(index), index.garbage
    tuned = int(index.parameters.get("built_with", size))
    if size > max(GROWTH * tuned, FIRST_TUNING):
        return f"it was tuned with {tuned:,} embeddings and holds {size:,}"
    if garbage > max(GARBAGE_LEAST, GARBAGE_SHARE * (size + garbage)):
        return f"{garbage:,} of the {size + garbage:,} embeddings in memory were removed"
    return None
