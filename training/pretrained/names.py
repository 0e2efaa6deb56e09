"""Names of published weights mapped to ours: TransReID and TransReID-SSL checkpoints, DINO, DeiT, timm backbones."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from vitreid.training.errors import WeightsError
from vitreid.training.pretrained.files import roots_of

State = Mapping[str, Tensor]

SIZES = ((256, 128), (384, 128), (128, 64), (224, 224), (256, 256), (384, 384), (64, 32))
STRIDES = (14, 12, 11, 10, 8)
HEAD_DIM = 64  # of every published ViT that is read here
DROPPED = ("dist_token", "mask_token", "n_averaged")
COUNTERS = ("num_batches_tracked", "n_averaged")
"""Whole numbers that a state dict may hold."""
PATCHES = "backbone.patch_embed.proj.weight"
POSITIONS = "backbone.position.embeddings.0.pos_embed"
SIDE = "backbone.sie.sie_embed"
HEADS = r"(head|fc|pre_logits|head_dist|base\.fc|base\.head|last_layer|mlp)\."
RESNET = r"(conv1|bn1|layer[1-4])\."


@dataclass(frozen=True)
class Shape:
    """The architecture of a file's network. Sizes are (height, width); `parts` counts the local features of a JPM."""

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
    options: Mapping[str, bool | float] = field(default_factory=dict)
    """Options of timm's constructor that differ from its defaults."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return grid_of(self.size, self.patch, self.stride)


def grid_of(size: tuple[int, int], patch: int, stride: int) -> tuple[int, int]:
    """Return the rows and columns of patches that start every `stride` pixels."""
    return (size[0] - patch) // stride + 1, (size[1] - patch) // stride + 1


@dataclass(frozen=True)
class Weights:
    """A file's tensors under our names, and the architecture that they show."""

    tensors: dict[str, Tensor]
    shape: Shape
    dropped: tuple[str, ...]
    """Names of the file without a counterpart: classifiers of other tasks and unused blocks."""


def translate(
    tensors: State,
    *,
    size: tuple[int, int] | None = None,
    stride: int | None = None,
    grid: tuple[int, int] | None = None,
) -> Weights:
    """Map a file's tensors to our names, and find the architecture.

    The number of patches does not determine their `grid` (rows, columns) and `stride`: if these are not given, those of
    a usual size that fit are taken, then those of a square, then those of images of `size`. Raises WeightsError for an
    unknown layout.
    """
    [root, *_] = roots_of(tensors) or [""]
    if f"{root}cls_token" not in tensors:
        known = ", ".join(sorted(tensors)[:3])
        raise WeightsError(
            f"the weights have no class token (names such as {known}); take those of a Vision Transformer"
        )
    if root.endswith("base."):
        plain = {name.removeprefix(root.removesuffix("base.")): tensor for name, tensor in tensors.items()}
        return _named(plain, _transreid(plain), size, stride, grid)
    inside = {name.removeprefix(root): tensor for name, tensor in tensors.items() if name.startswith(root)}
    weights = _named(inside, _backbone_name, size, stride, grid)
    beside = {name: tensor for name, tensor in tensors.items() if not name.startswith(root)}
    heads = [name for name in beside if name in DROPPED or re.search(rf"(^|\.){HEADS}", name)]
    others = {name: tensor for name, tensor in beside.items() if name not in heads}  # without counterparts
    return replace(weights, tensors=weights.tensors | others, dropped=(*weights.dropped, *heads))


def translate_resnet(tensors: State) -> tuple[dict[str, Tensor], tuple[str, ...]] | None:
    """Map the names of timm's or torchvision's ResNet; return tensors and dropped names, or None for other files."""
    [root, *_] = roots_of(tensors) or [""]
    plain = {name.removeprefix(root): tensor for name, tensor in tensors.items()}
    if "layer1.0.conv1.weight" not in plain or "cls_token" in plain:
        return None
    inside = {name: tensor for name, tensor in plain.items() if re.match(RESNET, name)}
    return {f"backbone.resnet.{name}": tensor for name, tensor in inside.items()}, tuple(plain.keys() - inside.keys())


def other_sizes(tensors: State, ours: State) -> list[str]:
    """Describe the tensors whose size differs from the network's."""
    return [
        f"{name} is {tuple(tensor.shape)} in the file and {tuple(ours[name].shape)} in the network"
        for name, tensor in tensors.items()
        if name in ours and tensor.shape != ours[name].shape
    ]


def check_numbers(tensors: State, source: Path) -> None:
    """Raise WeightsError for a tensor that holds something else than finite numbers of 16 bits or more."""
    for name, tensor in tensors.items():
        if name.endswith(COUNTERS):
            continue
        if tensor.is_meta or tensor.layout is not torch.strided:
            raise WeightsError(f"{source}: {name} holds no values as plain tensors do; save it as those")
        if not tensor.is_floating_point() or tensor.dtype.itemsize < 2:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise WeightsError(f"{source}: {name} is {kind}, as quantised weights are; take those before quantisation")
        if not tensor.isfinite().all():
            raise WeightsError(f"{source}: {name} contains NaN or Inf; take weights of an earlier epoch")


def _backbone_name(name: str) -> str | None:
    """Return our name for a name of a timm-like backbone, or None without a counterpart."""
    if re.match(HEADS, name) or name in DROPPED:
        return None
    if name == "pos_embed":
        return POSITIONS
    return SIDE if name == "sie_embed" else f"backbone.{name}"


def _transreid(plain: State) -> Callable[[str], str | None]:
    """Return a mapping of TransReID's names: `base.*`, the branches `b1` and `b2` of the JPM, necks and classifiers."""
    last = max(_blocks(plain))
    branches = {"b1.0.": f"backbone.blocks.{last}.", "b1.1.": "backbone.norm."}
    branches |= {"b2.0.": "backbone.jpm.block.", "b2.1.": "backbone.jpm.norm."}
    replaced = (f"base.blocks.{last}.", "base.norm.") if "b1.1.weight" in plain else ()

    def name_of(name: str) -> str | None:
        if name.startswith(replaced) or re.match(HEADS, name):
            return None  # with a JPM the last block and norm of `base` are there and never used
        for theirs, ours in branches.items():
            if name.startswith(theirs):
                return ours + name.removeprefix(theirs)
        if found := re.fullmatch(r"(bottleneck|classifier)(?:_(\d+))?\.(.+)", name):
            part = "norm" if found[1] == "bottleneck" else "classifier"
            return f"necks.{found[2] or 0}.{part}.{found[3]}"
        return _backbone_name(name.removeprefix("base."))

    return name_of


def _named(
    plain: State,
    name_of: Callable[[str], str | None],
    size: tuple[int, int] | None,
    stride: int | None,
    grid: tuple[int, int] | None,
) -> Weights:
    names = {name: name_of(name) for name in plain}
    tensors = {ours: plain[theirs] for theirs, ours in names.items() if ours is not None}
    positions, patches = tensors.get(POSITIONS), tensors.get(PATCHES)
    if positions is not None and "dist_token" in plain:  # a distilled model's second slot is its distillation token's
        tensors[POSITIONS] = torch.cat([positions[:, :1], positions[:, 2:]], dim=1)
    if patches is not None and patches.ndim == 2:
        tensors[PATCHES] = _convolution(patches)
    return Weights(
        tensors, _shape(tensors, size, stride, grid), tuple(name for name, ours in names.items() if ours is None)
    )


def _convolution(linear: Tensor) -> Tensor:
    """Reshape a linear layer (D, 3 x P x P), as in timm until 2020, to a convolution (D, 3, P, P)."""
    side = math.isqrt(linear.shape[1] // 3)
    if 3 * side**2 != linear.shape[1]:
        raise WeightsError(f"{PATCHES} is {tuple(linear.shape)}; expected square patches of three channels")
    return linear.reshape(len(linear), 3, side, side)


def _shape(tensors: State, size: tuple[int, int] | None, stride: int | None, grid: tuple[int, int] | None) -> Shape:
    try:
        width = tensors["backbone.cls_token"].shape[2]
        conv = "backbone.patch_embed.conv.0.weight" in tensors
        patch = tensors[PATCHES].shape[2] * (2 if conv else 1)
        patches = tensors[POSITIONS].shape[1] - 1
        hidden = tensors["backbone.blocks.0.mlp.fc1.weight"].shape[0]
        if 0 in (width, patch):
            raise IndexError
    except KeyError as error:
        raise WeightsError(f"the weights have no {error.args[0]}, so they are of another architecture") from error
    except (IndexError, RuntimeError) as error:
        raise WeightsError("the weights have the names of a Vision Transformer and other dimensions") from error
    size, stride = _size(patches, patch, size, stride, grid)
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
        options=_options(tensors),
    )


def _options(tensors: State) -> dict[str, bool | float]:
    """Return the options of timm's constructor that present and absent tensors imply."""
    implied: dict[str, tuple[str, bool, bool | float]] = {  # by option: a tensor, whether it is there, the value then
        "qkv_bias": ("backbone.blocks.0.attn.qkv.bias", False, False),
        "qk_norm": ("backbone.blocks.0.attn.q_norm.weight", True, True),
        "pre_norm": ("backbone.norm_pre.weight", True, True),
        "init_values": ("backbone.blocks.0.ls1.gamma", True, 1e-5),
    }
    return {option: value for option, (name, there, value) in implied.items() if (name in tensors) is there}


def _blocks(tensors: State, prefix: str = "base.") -> Iterator[int]:
    for name in tensors:
        if found := re.match(re.escape(prefix) + r"blocks\.(\d+)\.", name):
            yield int(found[1])


def _size(
    patches: int, patch: int, size: tuple[int, int] | None, stride: int | None, grid: tuple[int, int] | None
) -> tuple[tuple[int, int], int]:
    """Find the size and stride that the weights were trained with, of all that give so many patches."""
    strides = [each for each in ((patch, *STRIDES) if stride is None else (stride,)) if each <= patch]
    edge = math.isqrt(patches) * patch
    asked = [] if size is None else [size]
    guesses = [(each, step) for each in asked if each in SIZES for step in strides]
    guesses += [(each, step) for step in strides for each in SIZES]
    guesses += [(each, step) for each in ((edge, edge), *asked) for step in strides]
    if grid is not None:
        guesses = [(((grid[0] - 1) * step + patch, (grid[1] - 1) * step + patch), step) for step in strides]
    for sides, step in guesses:
        if math.prod(grid_of(sides, patch, step)) == patches:
            return sides, step
    fault = "which no usual size of images gives" if grid is None else f"not {grid[0]}x{grid[1]}"
    raise WeightsError(
        f"the weights have positions for {patches} patches of {patch} pixels, {fault}; give `vitreid import-weights` "
        "--grid ROWSxCOLUMNS whose product that is, and --stride where patches overlap"
    )
