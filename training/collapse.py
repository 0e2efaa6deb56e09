"""Whether losses on relations still have something to compare: they are zero where all places look alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

COLLAPSED = 0.01  # of the variance before training
NAMES = {"position_variance": "the position embedding", "bias_variance": "the relative position bias"}


def variances(positions: Tensor | None, biases: Tensor | None) -> dict[str, float]:
    """How much places and pairs of places differ, of what there is.

    `position_variance` of the position embedding (N, D) is taken over the places and averaged over D, `bias_variance`
    of the relative biases (maps, N, N) over the pairs and averaged over the maps: a constant moves no relation.
    """
    found = {} if positions is None else {"position_variance": positions.detach().float().var(0).mean().item()}
    return (
        found if biases is None else found | {"bias_variance": biases.detach().float().flatten(1).var(1).mean().item()}
    )


def collapse_told(
    start: Mapping[str, float], earlier: Sequence[Mapping[str, float]], record: Mapping[str, float]
) -> str | None:
    """A line about what has collapsed in the epoch of this record; None where nothing has, or it was told earlier."""
    now = [
        name
        for name, value in start.items()
        if record[name] < COLLAPSED * value and all(before.get(name, value) >= COLLAPSED * value for before in earlier)
    ]
    if not now:
        return None
    told = " and ".join(f"{NAMES[name]} ({record[name] / start[name]:.2%})" for name in now)
    return (
        f"epoch {record['epoch']}: of the variance before training nearly nothing is left in {told}, so losses on "
        "relations have little to compare there; lower their weights or optim.lr"
    )
