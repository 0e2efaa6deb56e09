"""Conversion of a file of published weights to a checkpoint (`vitreid import-weights`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor

from vitreid.bundle.checksum import sha256_of
from vitreid.training.checkpoint import Checkpoint, save_checkpoint
from vitreid.training.config import TrainConfig, validated
from vitreid.training.errors import ConfigError, WeightsError
from vitreid.training.model import ReIDModel, build_model
from vitreid.training.pretrained.files import StateDict, read_weights
from vitreid.training.pretrained.names import SIDE, Shape, check_numbers, other_sizes, translate
from vitreid.training.pretrained.pos_embed import resized

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SIDES = {(True, True): "both", (True, False): "camera", (False, True): "view", (False, False): "none"}


class Stated(TypedDict, total=False):
    """Values that a file does not hold, from the caller; ASSUMED has them otherwise.

    `size` (height, width) is that of future images, by default of those that the file was trained on, whose
    `grid` (rows, columns) of patches start every `stride` pixels. `key` names one of several networks.
    """

    key: str
    size: tuple[int, int]
    grid: tuple[int, int]
    stride: int
    heads: int
    qk_scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    resize: str
    bnneck: str
    pool: str
    cameras: int | None
    views: int | None
    sie_scale: float
    roll: int
    groups: int


@dataclass(frozen=True)
class Assumption:
    """A default value for files that have `needs`; `option` of the command sets another."""

    option: str
    value: Callable[[Shape], Any]
    needs: str = ""


ASSUMED: dict[str, Assumption] = {
    "grid": Assumption("--grid", lambda shape: shape.grid),
    "stride": Assumption("--stride", lambda shape: shape.stride),
    "heads": Assumption("--heads", lambda shape: shape.heads),
    "qk_scale": Assumption("--qk-scale", lambda shape: round((shape.width / shape.heads) ** -0.5, 6)),
    "mean": Assumption("--mean, --imagenet", lambda _: (0.5, 0.5, 0.5)),
    "std": Assumption("--std, --imagenet", lambda _: (0.5, 0.5, 0.5)),
    "resize": Assumption("--resize", lambda _: "bicubic"),
    "bnneck": Assumption("--after-bnneck", lambda _: "before"),
    "pool": Assumption("--pool", lambda _: "cls"),
    "cameras": Assumption("--cameras, --views", lambda shape: shape.side, "side"),
    "sie_scale": Assumption("--sie-scale", lambda _: 3.0, "side"),
    "roll": Assumption("--roll", lambda _: 4, "parts"),
    "groups": Assumption("--groups", lambda _: 2, "parts"),
}
NEEDS = {"side": "side information", "parts": "the parts of a JPM"}


@dataclass(frozen=True)
class Imported:
    """The checkpoint made from a file, and the names without a counterpart."""

    checkpoint: Checkpoint
    shape: Shape
    missing: tuple[str, ...]
    """Names of the network that the file does not have; their values are random."""
    dropped: tuple[str, ...]
    """Names of the file that the network does not have."""
    assumed: Mapping[str, Any]
    """Values that neither the file nor the caller gave."""

    def summary(self) -> dict[str, object]:
        """Return what was recognised, by name."""
        shape, model = self.shape, self.checkpoint.config.model
        return {
            "width": shape.width,
            "depth": shape.depth,
            "heads": shape.heads,
            "size": f"{model.height}x{model.width}",
            "stride": shape.stride,
            "stem": shape.stem,
            "sie": model.sie,
            "parts": shape.parts,
            "persons": shape.persons,
            "missing": list(self.missing),
            "dropped": len(self.dropped),
            "assumed": dict(self.assumed),
        }


def import_weights(file: Path, out: Path, *, partial: bool = False, **stated: Unpack[Stated]) -> Imported:
    """Write a checkpoint from a published file. Its cameras are called c1, c2, ... by their rows, its views 0, 1, ...

    Raises WeightsError for a file that cannot be read, for stated values that do not fit it, and unless `partial` for
    a network with parts that the file lacks, or a file with weights that the network lacks; nothing is written then.
    Raises ConfigError for a value that a recipe could not have.
    """
    read = read_weights(file, stated.get("key"))
    weights = translate(read.tensors, size=stated.get("size"), stride=stated.get("stride"), grid=stated.get("grid"))
    check_numbers(weights.tensors, file)
    shape = replace(weights.shape, heads=stated.get("heads", weights.shape.heads))
    assumed = _assumed(shape, stated, read, file)
    known: dict[str, Any] = {**assumed, **{name: value for name, value in stated.items() if value is not None}}
    sides = _side(shape, known.get("cameras"), known.get("views"))
    config = _config(file, shape, sides, known)
    model = _network(file, config, shape, sides)
    ours, tensors = model.state_dict(), _fitted(weights.tensors, shape, model, sides, stated.get("qk_scale"))
    fitting = {name: each for name, each in tensors.items() if name in ours and each.shape == ours[name].shape}
    left = model.load_state_dict(fitting, strict=False)
    missing = tuple(name for name in left.missing_keys if shape.persons or not name.startswith("necks."))
    if not partial and (faults := _mismatches(tensors, missing, ours)):
        raise WeightsError(f"{file} {faults}; use --partial to take the others and leave the rest at random values")
    dropped = (*weights.dropped, *(name for name in tensors if name not in fitting))
    lists = {"missing": list(missing), "dropped": list(dropped), "assumed": assumed}
    metrics: dict[str, Any] = {
        "persons": [str(i) for i in range(shape.persons or 1)],
        "cameras": [f"c{i + 1}" for i in range(sides[0])],  # as every reader of data sets calls them
        "views": [str(i) for i in range(sides[1])],
        "scores": {},
        "imported": {"file": file.name, "sha256": sha256_of(file), **lists},
    }
    save_checkpoint(out, model, config, metrics)
    return Imported(Checkpoint.open(out), shape, missing, dropped, assumed)


def _assumed(shape: Shape, stated: Stated, read: StateDict, file: Path) -> dict[str, Any]:
    """Return the assumed values by name. Raises WeightsError for a stated value that the file does not need."""
    values: dict[str, Any] = {"key": read.key} if read.others and "key" not in stated else {}
    for name, assumption in ASSUMED.items():
        needed = not assumption.needs or getattr(shape, assumption.needs) > 0
        if name in stated and not needed and name != "cameras":  # 0 cameras may be stated of any file
            raise WeightsError(
                f"{assumption.option} is for {NEEDS[assumption.needs]}, but {file} has none; leave it out"
            )
        if needed and stated.get(name) is None:
            values[name] = assumption.value(shape)
    if stated.get("views") is not None:
        values.pop("cameras", None)
    return values


def _network(file: Path, config: TrainConfig, shape: Shape, sides: tuple[int, int]) -> ReIDModel:
    try:
        return build_model(config, persons=shape.persons or 1, cameras=sides[0], views=sides[1], pretrained=False)
    except ConfigError as error:
        raise WeightsError(f"{file} describes a network that cannot be built: {error}") from error


def _fitted(
    tensors: Mapping[str, Tensor], shape: Shape, model: ReIDModel, sides: tuple[int, int], qk_scale: float | None
) -> dict[str, Tensor]:
    """Fit the tensors to the network: its grid, its table of cameras and views, its scale of attention.

    Raises ConfigError for a scale that is not a finite number above 0.
    """
    assert model.backbone.grid is not None
    fitted = resized(tensors, shape.grid, model.backbone.grid)
    if SIDE in fitted:
        fitted[SIDE] = fitted[SIDE].reshape(max(sides[0], 1), max(sides[1], 1), -1)
    if qk_scale is not None:
        if not 0 < qk_scale < math.inf:
            raise ConfigError(f"--qk-scale {qk_scale} must be a finite number above 0, such as 0.125")
        # The network scales by 1 / sqrt(width of a head): the queries take the difference.
        factor = torch.ones(3, 1)
        factor[0] = qk_scale * (shape.width / shape.heads) ** 0.5
        for name in [name for name in fitted if ".attn.qkv." in name]:
            grouped = fitted[name].float().reshape(3, -1)
            fitted[name] = (grouped * factor).reshape(fitted[name].shape)
    return fitted


def _side(shape: Shape, cameras: int | None, views: int | None) -> tuple[int, int]:
    """Return the numbers of cameras and views in the rows of side information."""
    if cameras is None and views is None:
        return shape.side, 0
    found = (cameras or 0, views or 0)
    if max(found[0], 1) * max(found[1], 1) != max(shape.side, 1):
        raise WeightsError(
            f"{found[0]} cameras and {found[1]} views need {max(found[0], 1) * max(found[1], 1)} rows of side "
            f"information, the file has {shape.side}; give --cameras and --views whose product that is"
        )
    return found


def _config(file: Path, shape: Shape, sides: tuple[int, int], known: Mapping[str, Any]) -> TrainConfig:
    size = known.get("size", shape.size)
    jpm = {"roll": known.get("roll"), "groups": known.get("groups"), "parts": shape.parts, "reduction": "code"}
    model = {
        "backbone": "vit_base_patch16_224",
        "options": {
            "embed_dim": shape.width,
            "depth": shape.depth,
            "num_heads": shape.heads,
            "mlp_ratio": shape.mlp_ratio,
            "patch_size": shape.patch,
            **shape.options,
        },
        "stem": shape.stem,
        "stride": None if shape.stride == shape.patch else shape.stride,
        "height": size[0],
        "width": size[1],
        "sie": SIDES[sides[0] > 1, sides[1] > 1],
        "sie_scale": known.get("sie_scale", 3.0),
        "jpm": jpm if shape.parts else None,
        **{name: known[name] for name in ("mean", "std", "resize", "bnneck", "pool")},
    }
    return validated({"model": model}, (), str(file))


def _mismatches(tensors: Mapping[str, Tensor], missing: Sequence[str], ours: Mapping[str, Tensor]) -> str:
    """Describe all that does not fit, by name; empty if everything does."""
    lists = {
        "has no weights for": [name for name in missing if name not in tensors],
        "has weights that fit nowhere:": [name for name in tensors if name not in ours],
        "has weights of another size:": other_sizes(tensors, ours),
    }
    return " and ".join(f"{what} {', '.join(names)}" for what, names in lists.items() if names)
