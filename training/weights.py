"""Published weights under our names: TransReID and TransReID-SSL checkpoints, DINO, DeiT and timm backbones."""

from __future__ import annotations

import math
import re
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import safe_globals

from training.errors import WeightsError

State = Mapping[str, Tensor]

SIZES = ((256, 128), (384, 128), (128, 64), (224, 224), (256, 256), (384, 384), (64, 32))
STRIDES = (14, 12, 11, 10, 8)
HEAD_DIM = 64  # of every published ViT that is read here
WRAPPERS = ("teacher", "student", "state_dict", "model")
PREFIXES = ("module.", "backbone.")
POSITIONS = "backbone.position.embeddings.0.pos_embed"
SIDE = "backbone.side.side_embed"
HEADS = r"(head|fc|pre_logits|head_dist|base\.fc|base\.head|last_layer|mlp)\."
RESNET = r"(conv1|bn1|layer[1-4])\."


@dataclass(frozen=True)
class Shape:
    """What a file tells of its network. Sizes are (height, width); `parts` counts the local features of a jigsaw."""

    width: int
    depth: int
    heads: int
    mlp_ratio: float
    patch: int
    size: tuple[int, int]
    stride: int
    stem: str
    side: int
    """Rows of the side information: cameras, views, or cameras x views; 0 for none."""
    parts: int
    persons: int
    """Rows of the classifier; 0 for a backbone alone."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return grid_of(self.size, self.patch, self.stride)


def grid_of(size: tuple[int, int], patch: int, stride: int) -> tuple[int, int]:
    """Rows and columns of patches that start every `stride` pixels."""
    return (size[0] - patch) // stride + 1, (size[1] - patch) // stride + 1


@dataclass(frozen=True)
class Weights:
    """A file's tensors under our names, and what they tell."""

    tensors: dict[str, Tensor]
    shape: Shape
    dropped: tuple[str, ...]
    """The file's names that have no place in a network of ours: classifiers of other tasks and blocks never used."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .pth, .pt, .bin or .safetensors file. Raises WeightsError for any other content."""
    if not path.is_file():
        raise WeightsError(f"there is no file {path}; name a .pth or .safetensors file")
    try:
        with safe_globals([Namespace]):  # the arguments of a run, which DINO and others keep beside its weights
            found: Any = (
                load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
            )
    except SafetensorError as error:
        raise WeightsError(f"{path} is no safetensors file ({error}); download it again") from error
    except Exception as error:  # a file that is no archive makes torch.load raise nearly any type
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{path} is no file of weights that can be read safely ({reason})") from error
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    tensors = {str(key): value for key, value in found.items() if isinstance(value, Tensor)} if found else {}
    if not tensors:
        raise WeightsError(f"{path} holds no tensors by name; name a file with a state dict")
    return tensors


def translate(tensors: State, *, size: tuple[int, int] | None = None, stride: int | None = None) -> Weights:
    """Our names for a file's tensors, and the shape that they tell.

    The number of patches does not quite tell the size of pictures and the stride: of those that fit, the usual ones
    are taken, or `size` and `stride` where they fit. Raises WeightsError for an unknown layout.
    """
    plain = dict(_without_prefixes(tensors))
    if "base.cls_token" in plain:
        return _named(plain, _transreid(plain), size, stride)
    if "cls_token" in plain:
        return _named(plain, _backbone_name, size, stride)
    known = ", ".join(sorted(plain)[:3])
    raise WeightsError(f"the weights have no class token (names such as {known}); take those of a Vision Transformer")


def translate_resnet(tensors: State) -> tuple[dict[str, Tensor], tuple[str, ...]] | None:
    """Our names for the tensors of a ResNet in timm's or torchvision's, and the names dropped; None for other files."""
    plain = {name.removeprefix("base."): tensor for name, tensor in _without_prefixes(tensors)}
    if "layer1.0.conv1.weight" not in plain:
        return None
    kept = {name: tensor for name, tensor in plain.items() if re.match(RESNET, name)}
    return {f"backbone.resnet.{name}": tensor for name, tensor in kept.items()}, tuple(plain.keys() - kept.keys())


def other_sizes(tensors: State, ours: State) -> list[str]:
    """The tensors that have another size than the network's of that name, told."""
    return [
        f"{name} is {tuple(tensor.shape)} in the file and {tuple(ours[name].shape)} in the network"
        for name, tensor in tensors.items()
        if name in ours and tensor.shape != ours[name].shape
    ]


def _without_prefixes(tensors: State) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        for prefix in PREFIXES:
            name = name.removeprefix(prefix)
        yield name, tensor


def _backbone_name(name: str) -> str | None:
    """Our name for one of a timm-like backbone; None where we have no place for it."""
    if re.match(HEADS, name) or name in ("dist_token", "mask_token"):
        return None
    if name == "pos_embed":
        return POSITIONS
    return SIDE if name == "sie_embed" else f"backbone.{name}"


def _transreid(plain: State) -> Callable[[str], str | None]:
    """How TransReID names its parts: `base.*`, the branches `b1` and `b2` of the jigsaw, necks and classifiers."""
    last = max(_blocks(plain))
    branches = {"b1.0.": f"backbone.blocks.{last}.", "b1.1.": "backbone.norm."}
    branches |= {"b2.0.": "backbone.jigsaw.block.", "b2.1.": "backbone.jigsaw.norm."}
    replaced = (f"base.blocks.{last}.", "base.norm.") if "b1.1.weight" in plain else ()

    def name_of(name: str) -> str | None:
        if name.startswith(replaced) or re.match(HEADS, name):
            return None  # with a jigsaw the last block and norm of `base` are there and never used
        for theirs, ours in branches.items():
            if name.startswith(theirs):
                return ours + name.removeprefix(theirs)
        if found := re.fullmatch(r"(bottleneck|classifier)(?:_(\d+))?\.(.+)", name):
            part = "norm" if found[1] == "bottleneck" else "classifier"
            return f"necks.{found[2] or 0}.{part}.{found[3]}"
        return _backbone_name(name.removeprefix("base."))

    return name_of


def _named(
    plain: State, name_of: Callable[[str], str | None], size: tuple[int, int] | None, stride: int | None
) -> Weights:
    names = {name: name_of(name) for name in plain}
    tensors = {ours: plain[theirs] for theirs, ours in names.items() if ours is not None}
    places = tensors.get(POSITIONS)
    if places is not None and "dist_token" in plain:  # a distilled model's second slot is its distillation token's
        tensors[POSITIONS] = torch.cat([places[:, :1], places[:, 2:]], dim=1)
    return Weights(tensors, _shape(tensors, size, stride), tuple(name for name, ours in names.items() if ours is None))


def _shape(tensors: State, size: tuple[int, int] | None, stride: int | None) -> Shape:
    try:
        width = tensors["backbone.cls_token"].shape[2]
        conv = "backbone.patch_embed.conv.0.weight" in tensors
        patch = tensors["backbone.patch_embed.proj.weight"].shape[2] * (2 if conv else 1)
        patches = tensors[POSITIONS].shape[1] - 1
        hidden = tensors["backbone.blocks.0.mlp.fc1.weight"].shape[0]
    except KeyError as error:
        raise WeightsError(f"the weights have no {error.args[0]}, so they are of another architecture") from error
    size, stride = _size(patches, patch, size, stride)
    necks = [name for name in tensors if name.endswith("classifier.weight")]
    return Shape(
        width=width,
        depth=1 + max(_blocks(tensors, "backbone.")),
        heads=max(1, width // HEAD_DIM),
        mlp_ratio=hidden / width,
        patch=patch,
        size=size,
        stride=stride,
        stem="ics" if conv else "patch",
        side=len(tensors[SIDE]) if SIDE in tensors else 0,
        parts=max(0, len(necks) - 1),
        persons=len(tensors[necks[0]]) if necks else 0,
    )


def _blocks(tensors: State, prefix: str = "base.") -> Iterator[int]:
    for name in tensors:
        if found := re.match(re.escape(prefix) + r"blocks\.(\d+)\.", name):
            yield int(found[1])


def _size(patches: int, patch: int, size: tuple[int, int] | None, stride: int | None) -> tuple[tuple[int, int], int]:
    """The size and stride that give so many patches: those asked for, else usual ones, else a square."""
    strides = (patch, *STRIDES) if stride is None else (stride,)
    for each in strides:
        for sides in (*([size] if size else []), *SIZES):
            rows, columns = grid_of(sides, patch, each)
            if each <= patch and rows * columns == patches:
                return sides, each
    side = math.isqrt(patches) * patch
    if stride is None and (side // patch) ** 2 == patches:
        return (side, side), patch
    raise WeightsError(
        f"the weights have positions for {patches} patches of {patch} pixels, which no usual size of pictures gives; "
        "say --height, --width and --stride to `reid import-weights`"
    )
