"""Detection of collapsed positions: relation losses are zero where all positions are alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

COLLAPSED = 0.01  # of the variance before training
NAMES = {"position_variance": "the position embedding", "bias_variance": "the relative position bias"}


def variances(positions: Tensor | None, biases: Tensor | None) -> dict[str, float]:
    """Return the variances of positions and of pairs of positions, where the network has them.

    `position_variance` of the position embedding (N, D) is taken over the positions and averaged over D,
    `bias_variance` of the relative biases (maps, N, N) over the pairs and averaged over the maps: constants cancel.
    """
    found = {} if positions is None else {"position_variance": positions.detach().float().var(0).mean().item()}
    return (
        found if biases is None else found | {"bias_variance": biases.detach().float().flatten(1).var(1).mean().item()}
    )


def collapse_warning(
    start: Mapping[str, float], earlier: Sequence[Mapping[str, float]], record: Mapping[str, float]
) -> str | None:
    """Return a line on what has collapsed in this epoch; None where nothing has, or an earlier epoch had it."""
    now = [
        name
        for name, value in start.items()
        if record[name] < COLLAPSED * value and all(before.get(name, value) >= COLLAPSED * value for before in earlier)
    ]
    if not now:
        return None
    names = " and ".join(f"{NAMES[name]} ({record[name] / start[name]:.2%})" for name in now)
    return (
        f"epoch {record['epoch']}: of the variance before training nearly nothing is left in {names}, so losses on "
        "relations have little to compare there; lower their weights or optim.lr"
    )
