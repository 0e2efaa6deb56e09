"""`reid import-weights`: a published file becomes a checkpoint of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from bundle.files import sha256_of
from training.backbones import ViT
from training.checkpoint import Checkpoint, build_model, save_checkpoint
from training.config import TrainConfig, validated
from training.errors import ConfigError, WeightsError
from training.resizing import resized
from training.weight_files import read_weights
from training.weights import SIDE, Shape, check_numbers, other_sizes, translate

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SIDES = {(True, True): "both", (True, False): "camera", (False, True): "view", (False, False): "none"}


@dataclass(frozen=True)
class Imported:
    """What was made of a file: the checkpoint, and the names that found no place on either side."""

    checkpoint: Checkpoint
    shape: Shape
    missing: tuple[str, ...]
    """Names of ours that the file does not have; they keep random values."""
    dropped: tuple[str, ...]
    """Names of the file that have no place in our network."""

    def told(self) -> dict[str, object]:
        """What was recognised, by name."""
        shape, model = self.shape, self.checkpoint.config.model
        return {
            "width": shape.width,
            "depth": shape.depth,
            "heads": shape.heads,
            "size": f"{model.height}x{model.width}",
            "stride": shape.stride,
            "stem": shape.stem,
            "side": model.side,
            "parts": shape.parts,
            "persons": shape.persons,
            "missing": list(self.missing),
            "dropped": len(self.dropped),
        }


def import_weights(
    file: Path,
    out: Path,
    *,
    size: tuple[int, int] | None = None,
    stride: int | None = None,
    cameras: int | None = None,
    views: int | None = None,
    heads: int | None = None,
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
    std: tuple[float, float, float] = (0.5, 0.5, 0.5),
    bnneck: str = "before",
    partial: bool = False,
) -> Imported:
    """Write a checkpoint from a published file, for pictures of `size`, by default those that it was trained on.

    How many of the rows of side information are `cameras` and how many `views` the file does not tell: without
    either, all are cameras. `heads` is for networks whose heads are not 64 wide.

    Raises WeightsError for a file that cannot be read, and unless `partial` for one that leaves a part of the network
    without weights or has some that fit nowhere; nothing is written then.
    """
    weights = translate(read_weights(file).tensors, size=size, stride=stride)
    check_numbers(weights.tensors, file)
    shape = weights.shape if heads is None else replace(weights.shape, heads=heads)
    seen = _side(shape, cameras, views)
    persons = shape.persons or 1
    try:
        config = _config(file, shape, seen, size=size or shape.size, mean=mean, std=std, bnneck=bnneck)
        model = build_model(config, persons=persons, cameras=seen[0], views=seen[1], pretrained=False)
    except ConfigError as error:
        raise WeightsError(f"{file} tells of a network that cannot be built: {error}") from error
    assert isinstance(model.backbone, ViT)
    tensors, ours = resized(weights.tensors, shape.grid, model.backbone.grid), model.state_dict()
    if SIDE in tensors:
        tensors[SIDE] = tensors[SIDE].reshape(max(seen[0], 1), max(seen[1], 1), -1)
    fitting = {name: each for name, each in tensors.items() if name in ours and each.shape == ours[name].shape}
    left = model.load_state_dict(fitting, strict=False)
    needed = [name for name in left.missing_keys if shape.persons or not name.startswith("necks.")]
    if not partial and (told := _told(tensors, needed, ours)):
        raise WeightsError(f"{file} {told}; --partial takes the others and leaves what they lack at random values")
    dropped = (*weights.dropped, *(name for name in tensors if name not in fitting))
    metrics: dict[str, Any] = {
        "persons": [str(i) for i in range(persons)],
        "cameras": [str(i + 1) for i in range(seen[0])],
        "views": [str(i + 1) for i in range(seen[1])],
        "scores": {},
        "imported": {"file": file.name, "sha256": sha256_of(file), "missing": needed, "dropped": list(dropped)},
    }
    save_checkpoint(out, model, config, metrics)
    return Imported(Checkpoint.open(out), shape, tuple(needed), dropped)


def _side(shape: Shape, cameras: int | None, views: int | None) -> tuple[int, int]:
    """How many cameras and views the rows of side information are."""
    if cameras is None and views is None:
        return shape.side, 0
    found = (cameras or 0, views or 0)
    if max(found[0], 1) * max(found[1], 1) != max(shape.side, 1):
        raise WeightsError(
            f"{found[0]} cameras and {found[1]} views need {max(found[0], 1) * max(found[1], 1)} rows of side "
            f"information, the file has {shape.side}; give --cameras and --views whose product that is"
        )
    return found


def _config(
    file: Path,
    shape: Shape,
    seen: tuple[int, int],
    *,
    size: tuple[int, int],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    bnneck: str,
) -> TrainConfig:
    jigsaw = {"parts": shape.parts, "total": "code"} if shape.parts else None
    model = {
        "backbone": "vit_base_patch16_224",
        "options": {
            "embed_dim": shape.width,
            "depth": shape.depth,
            "num_heads": shape.heads,
            "mlp_ratio": shape.mlp_ratio,
            "patch_size": shape.patch,
        },
        "stem": shape.stem,
        "stride": None if shape.stride == shape.patch else shape.stride,
        "height": size[0],
        "width": size[1],
        "mean": mean,
        "std": std,
        "side": SIDES[seen[0] > 1, seen[1] > 1],
        "jigsaw": jigsaw,
        "bnneck": bnneck,
    }
    return validated({"model": model}, (), str(file))


def _told(tensors: Mapping[str, Tensor], missing: Sequence[str], ours: Mapping[str, Tensor]) -> str:
    """All that does not fit, by name; empty where everything does."""
    lists = {
        "has no weights for": [name for name in missing if name not in tensors],
        "has weights that fit nowhere:": [name for name in tensors if name not in ours],
        "has weights of another size:": other_sizes(tensors, ours),
    }
    return " and ".join(f"{what} {', '.join(names)}" for what, names in lists.items() if names)
