"""Initial weights of a training (`model.weights`): from a published file or a checkpoint, in place of random values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from vitreid.training.checkpoint import Checkpoint
from vitreid.training.errors import ConfigError, WeightsError
from vitreid.training.model import ReIDModel
from vitreid.training.pretrained.files import read_weights
from vitreid.training.pretrained.names import State, check_numbers, other_sizes, translate, translate_resnet
from vitreid.training.pretrained.pos_embed import Grid, resized

OPTIONAL = re.compile(r"necks\.|backbone\.(sie|position|jpm)\.|.*\.(relative_(bias|keys)|num_batches_tracked)$")
"""Names that a network may have and its initial weights not, or the other way round."""

OF_TIMM = re.compile(r"\.position\.embeddings\.0\.pos_embed$|\.jpm\.|num_batches_tracked$")

Labels = Mapping[str, tuple[str, ...]]
"""The `persons`, `cameras` and `views` that a network learns, by index."""


@dataclass(frozen=True)
class Start:
    """Tensors under the names of our networks.

    `network` describes the network for messages, and `name` its file and key; the `grid` of its patches, the number of
    its attention `heads` and the `labels` that it learned are set if known; `dropped` are names without a counterpart.
    """

    tensors: dict[str, Tensor]
    network: str
    grid: Grid | None = None
    heads: int | None = None
    labels: Labels = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Started:
    """A `note` about the initial weights, and the names of values left `at_random`."""

    note: str = ""
    at_random: frozenset[str] = frozenset()


def begin(
    model: ReIDModel, weights: str, *, size: tuple[int, int], labels: Labels, grid: Grid | None = None
) -> Started:
    """Load a recipe's `model.weights` into a built network; arguments and errors as in `start_from`."""
    if weights == "timm":  # it was built with timm's weights
        return Started(at_random=random_beside_timm(model))
    if weights == "random":
        return Started()
    return start_from(model, Path(weights), size=size, labels=labels, grid=grid)


def start_from(
    model: ReIDModel, source: Path, *, size: tuple[int, int], labels: Labels, grid: Grid | None = None
) -> Started:
    """Load a published file, a checkpoint or the best one of a run into a network for images of `size`.

    Positions are resized, from the `grid` of the file's patches if given. Classifiers of other persons than those of
    `labels` are left out, and side information of other cameras and views; the note names what was left out and what
    stays random.

    Raises ConfigError if there is no such file or folder, WeightsError and CheckpointError if it cannot be read or has
    another architecture; the network is unchanged then.
    """
    start, ours = _read(source, size, grid), model.state_dict()
    check_numbers(start.tensors, source)
    new_grid, tensors, moved = model.backbone.grid, start.tensors, ""
    if new_grid is not None and start.grid is not None:
        tensors = resized(tensors, start.grid, new_grid)
        if start.grid != new_grid:
            moved = "; positions resized from {}x{} to {}x{} patches".format(*start.grid, *new_grid)
    tensors = _copies(tensors, model.backbone.copied_weights()) | tensors
    fitting = {name: tensor for name, tensor in tensors.items() if _is_wanted(name, tensor, start, ours, labels)}
    if problem := _problem(tensors, fitting, ours) or _other_heads(start.heads, model.backbone.num_heads):
        raise WeightsError(
            f"{source} does not fit the recipe: {problem}; set model.backbone, model.options and model.stem to those "
            f"of the file ({start.network}), or take other weights"
        )
    model.load_state_dict(fitting, strict=False)
    lists = {"left out": {*tensors, *start.dropped} - fitting.keys(), "at random": ours.keys() - fitting.keys()}
    note = f"the network starts from {start.name or source}{moved}" + "".join(
        f"; {what}: {', '.join(_parts(names))}" for what, names in lists.items() if names
    )
    return Started(note, frozenset(lists["at random"]))


def random_beside_timm(model: ReIDModel) -> frozenset[str]:
    """Return the names that timm's weights do not have, such as side information and relative positions."""
    return frozenset(name for name in model.state_dict() if OPTIONAL.match(name) and not OF_TIMM.search(name))


def check_frozen(model: ReIDModel, at_random: frozenset[str], source: str) -> None:
    """Raise ConfigError if a part of the backbone is frozen for which `source` has no values."""
    frozen = {name for name, each in model.backbone.named_parameters(prefix="backbone") if not each.requires_grad}
    if untrained := sorted(frozen & at_random):
        raise ConfigError(
            f"{', '.join(_parts(untrained))} would stay at random values, since {source} has none and "
            "optim.backbone_lr_mult = 0 or optim.frozen_blocks freezes them; remove those settings or let them learn"
        )


def _read(source: Path, size: tuple[int, int], grid: Grid | None) -> Start:
    if source.is_dir():
        return _of_ours(Checkpoint.open(source))
    if not source.is_file():
        raise ConfigError(
            f"model.weights = {str(source)!r} is neither 'random' nor 'timm' nor a file or a checkpoint's folder; "
            "use --set model.weights=PATH"
        )
    read = read_weights(source)
    name = f"{source}, {read.key!r} of it" if read.others else str(source)
    if (resnet := translate_resnet(read.tensors)) is not None:
        return Start(resnet[0], "a ResNet", dropped=resnet[1], name=name)
    weights = translate(read.tensors, size=size, grid=grid)
    shape = weights.shape
    network = f"width {shape.width}, depth {shape.depth}, patches of {shape.patch} pixels, stem {shape.stem!r}"
    return Start(weights.tensors, network, grid=shape.grid, dropped=weights.dropped, name=name)


def _of_ours(checkpoint: Checkpoint) -> Start:
    model, part = checkpoint.load_model(), checkpoint.config.model
    return Start(
        model.state_dict(),
        f"backbone {part.backbone!r}, options {part.options}, stem {part.stem!r}",
        grid=model.backbone.grid,
        heads=model.backbone.num_heads,
        labels={"persons": checkpoint.persons, "cameras": checkpoint.cameras, "views": checkpoint.views},
    )


def _copies(tensors: State, copied: Mapping[str, str]) -> dict[str, Tensor]:
    """Copies of tensors under other names, as they are before any training; `copied` holds prefixes."""
    return {
        f"backbone.{copy}{name.removeprefix(f'backbone.{original}')}": tensor
        for original, copy in copied.items()
        for name, tensor in tensors.items()
        if name.startswith(f"backbone.{original}")
    }


def _is_wanted(name: str, tensor: Tensor, start: Start, ours: State, labels: Labels) -> bool:
    if name not in ours or (OPTIONAL.match(name) and tensor.shape != ours[name].shape):
        return False
    kinds = {"necks": ("persons",), "backbone.sie": ("cameras", "views")}
    learned = next((kinds[part] for part in kinds if name.startswith(f"{part}.")), ())
    return all(start.labels.get(kind) == labels[kind] for kind in learned)


def _problem(tensors: State, fitting: State, ours: State) -> str | None:
    """Return the first mismatch of tensors and network, if any."""
    if sizes := other_sizes(fitting, ours):
        return sizes[0]
    needed = (name for name in ours if name not in fitting and not OPTIONAL.match(name))
    if (missing := next(needed, None)) is not None:
        return f"it has no {missing}"
    nowhere = next((name for name in tensors if name not in ours and not OPTIONAL.match(name)), None)
    return nowhere and f"the network has no {nowhere}"


def _other_heads(theirs: int | None, ours: int | None) -> str | None:
    """Describe another number of heads, which no tensor shows."""
    return None if theirs in (None, ours) else f"its attention has {theirs} heads and the network's has {ours}"


def _parts(names: Iterable[str]) -> list[str]:
    """Return the parts of a network that tensors belong to, each once."""
    plain = (name for name in names if not name.endswith("num_batches_tracked"))
    return sorted({name.rpartition(".")[2] if "relative_" in name else _part(name) for name in plain})


def _part(name: str) -> str:
    first, *rest = name.split(".")[:-1] or [name]
    return ".".join([first, *rest[:1]]) if first in ("backbone", "base", "necks") else first
