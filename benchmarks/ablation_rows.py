"""The rows of the ablation: a recipe, the row that it is compared with, and the number of seeds."""

from __future__ import annotations

from dataclasses import dataclass

RATES = ("3e-4", "6e-4", "1.2e-3")


@dataclass(frozen=True)
class Row:
    """A recipe with changes; `against` is the name of the row that it is compared with."""

    name: str
    recipe: str
    against: str | None = None
    changes: tuple[str, ...] = ()
    seeds: int = 2


def _small(name: str, against: str | None = "baseline", seeds: int = 2) -> Row:
    return Row(name, f"cuhk03-small-{name}", against, seeds=seeds)


def _at_rates(name: str, recipe: str) -> list[Row]:
    return [Row(f"{name}-{rate}", recipe, "baseline", (f"optim.lr={rate}",)) for rate in RATES]


def _strong(name: str, loss: str, *more: str) -> Row:
    """Return a relation loss at ten times its weight, which makes its effect on the positions visible."""
    changes = (f"losses.{loss}.weight=10", *more)
    return Row(f"{name}-10", f"cuhk03-small-{name.removesuffix('-slow')}", "relative-bias", changes, seeds=1)


GROUPS: dict[str, list[Row]] = {
    "main": [
        Row("baseline", "cuhk03-small", seeds=3),
        _small("sie", seeds=3),
        _small("jpm", seeds=3),
        _small("sie-jpm", seeds=3),
    ],
    "losses": [
        _small("weighted-triplet"),
        _small("relative-bias"),
        _small("relation-triplet", "relative-bias"),
        _small("relation-triplet-relative", "relative-bias"),
        _small("relation-kl", "relative-bias"),
        _small("relation-js", "relative-bias"),
    ],
    "heads": [
        *(row for row in _at_rates("cls", "cuhk03-small") if row.changes != ("optim.lr=6e-4",)),
        *_at_rates("mean", "cuhk03-small-mean"),
        *_at_rates("weighted", "cuhk03-small-weighted"),
    ],
    "positions": [
        _small("position-none"),
        _small("position-2d"),
        _small("position-every"),
        _small("position-shared"),
        _small("zero-cls"),
        _small("relative-keys"),
        _small("relative-only"),
    ],
    "divergence": [
        _strong("relation-triplet", "relation_triplet"),
        _strong("relation-triplet-slow", "relation_triplet", "optim.lr=2e-4"),
        _strong("relation-kl", "relation_divergence"),
    ],
    "patches": [_small("patch"), _small("stride", "patch"), _small("resnet")],
}
ROWS: dict[str, Row] = {row.name: row for group in GROUPS.values() for row in group}
