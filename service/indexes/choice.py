"""Choice of the index kind by size, and the reason to build an index again."""

from __future__ import annotations

from vitreid.service.indexes.gpu import gpu_problem
from vitreid.service.indexes.protocol import Index

AUTO = "auto"
FLAT_BYTES = 200_000 * 384 * 4  # one core compares a query with all of them in about 20 ms
GPU_BYTES = 4 << 30  # leaves room for the model; the same again lies in main memory
HYSTERESIS = 0.75  # share of a limit to shrink below before the kind changes back: no rebuilding to and fro
GROWTH = 4  # times the size at which an index was tuned
FIRST_TUNING = 10_000  # embeddings up to which no tuning is needed


def choose_index(size: int, dimension: int, current: str | None = None) -> tuple[str, str]:
    """Return the kind for `size` embeddings of a dimension, and the reason as a sentence for operators.

    A gallery that shrank only a little below a limit stays with `current`, the kind in use.
    """
    flat_limit, gpu_limit = (limit // (dimension * 4) for limit in (FLAT_BYTES, GPU_BYTES))
    if current in ("ivf", "gpu"):
        flat_limit = int(flat_limit * HYSTERESIS)
    if current == "ivf":
        gpu_limit = int(gpu_limit * HYSTERESIS)
    if size <= flat_limit:
        return "flat", f"{size:,} embeddings are within {flat_limit:,}: comparing all of them is exact and fast enough"
    problem = gpu_problem()
    if problem is None and size <= gpu_limit:
        return "gpu", f"{size:,} embeddings are within {gpu_limit:,}: the GPU compares all of them, which is exact"
    limit = f"the {gpu_limit:,} of the GPU" if problem is None else f"the {flat_limit:,} of an index without a GPU"
    return "ivf", f"{size:,} embeddings exceed {limit}: only the nearest lists are compared"


def rebuild_reason(index: Index) -> str | None:
    """Return why this index should be built again, as a sentence for operators, or None."""
    size = len(index)
    tuned = int(index.parameters.get("built_with", size))
    if size > max(GROWTH * tuned, FIRST_TUNING):
        return f"it was tuned with {tuned:,} embeddings and holds {size:,}"
    return None
