"""TransReID: timm's Vision Transformer for re-identification.

He et al., "TransReID: Transformer-based Object Re-Identification", ICCV 2021: overlapping patches (section 3.1), JPM
(3.3) and SIE (3.4). Published names and weights of timm are used as they are. In shapes B is the batch, N the number
of patches, D the width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models import checkpoint
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from vitreid.training.backbones.attention import relative_bias, select_patches
from vitreid.training.backbones.protocol import Backbone, Features
from vitreid.training.errors import ConfigError

STD = 0.02
NO_WEIGHT_DECAY = ("cls_token", "pos_embed", "sie_embed", "relative_bias", "relative_keys")
"""How the names of parameters end that are not decayed."""


class TransReID(VisionTransformer, Backbone):
    """A timm transformer with position embeddings, SIE, JPM and pooling of its own; takes over the modules of `vit`.

    `patch_indices` (parts, L) are those of the JPM, `pool` is a name of POOLS.
    """

    def __init__(
        self,
        vit: VisionTransformer,
        *,
        position: PositionEmbedding | None = None,
        sie: SIE | None = None,
        patch_indices: Tensor | None = None,
        pool: str = "cls",
    ) -> None:
        nn.Module.__init__(self)
        self.__dict__.update(vit.__dict__)  # built by timm under the name in the recipe, with its weights
        self.pos_embed, self.fc_norm = None, nn.Identity()
        blocks: Any = vit.blocks
        self.grid: tuple[int, int] = vit.patch_embed.grid_size
        self.num_heads: int = blocks[0].attn.num_heads
        self.position, self.sie, self.pooling = position, sie, POOLS[pool]
        self.jpm = None if patch_indices is None else JPM(blocks[-1], vit.norm, patch_indices)

    def forward(  # type: ignore[override]  # timm's returns one tensor
        self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None
    ) -> Features:
        """Return the features of normalised (B, 3, H, W) images; camera and view (B,), -1 or None = unknown."""
        before = self.forward_to_last_block(images, camera, view)  # (B, 1 + N, D)
        local = () if self.jpm is None else self.jpm(before)  # parts x (B, D)
        tokens: Tensor = self.norm(self._run(self.blocks[-1], before))  # (B, 1 + N, D)
        return Features(self.pooling(tokens), local, cls=tokens[:, 0], patches=tokens[:, 1:])

    def forward_to_last_block(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Tensor:
        """Return the tokens (B, 1 + N, D), class token first, that enter the last block; arguments as in `forward`."""
        patches = self.patch_embed(images)  # (B, N, D), by rows
        tokens: Tensor = self.norm_pre(self._pos_embed(patches, camera, view))  # (B, 1 + N, D)
        for number, block in enumerate(self.blocks[:-1], start=1):
            tokens = self._add_position(self._run(block, tokens), number)
        return tokens

    def _pos_embed(self, x: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Tensor:
        """Put the class token in front of the patches (B, N, D); add SIE and positions: (B, 1 + N, D)."""
        assert self.cls_token is not None
        tokens = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        if self.sie is not None:
            unknown = torch.full((x.shape[0],), -1, dtype=torch.long, device=x.device)
            tokens = tokens + self.sie(unknown if camera is None else camera, unknown if view is None else view)
        dropped: Tensor = self.pos_drop(self._add_position(tokens, 0))
        return dropped

    def _add_position(self, tokens: Tensor, block: int) -> Tensor:
        embedding = None if self.position is None else self.position.before(block)  # (1, 1 + N, D)
        return tokens if embedding is None else tokens + embedding

    def _run(self, block: nn.Module, tokens: Tensor) -> Tensor:
        output: Tensor = checkpoint(block, tokens) if self.grad_checkpointing else block(tokens)
        return output

    def forward_intermediates(self, x: Tensor, *values: Any, **options: Any) -> Any:
        """Return timm's intermediates, of unknown cameras and views.

        Raises NotImplementedError if positions are added before every block, which timm's method does not do.
        """
        if self.position is not None and self.position.before(1) is not None:
            raise NotImplementedError("forward_intermediates needs model.position_at = 'stem'; use hooks instead")
        return super().forward_intermediates(x, *values, **options)

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters that are not decayed."""
        return {name for name, _ in self.named_parameters() if name.endswith(NO_WEIGHT_DECAY)}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Return timm's patterns of layers, for a learning rate that decays by layer."""
        last = (len(self.blocks) - 1,)
        return {
            "stem": r"^(?:cls_token|patch_embed|position|sie|norm_pre)",
            "blocks": [(r"^blocks\.(\d+)", None), (r"^jpm\.block", last), (r"^(?:jpm\.)?norm", (99999,))],
        }

    def positions(self) -> Tensor | None:
        """Return the absolute position embedding of the patches (N, D)."""
        return None if self.position is None else self.position.patches()

    def biases(self) -> Tensor | None:
        """Return the relative position bias of all heads of all blocks (layers x heads, N, N)."""
        blocks: Any = self.blocks
        found = [bias for block in blocks for bias in relative_bias(block.attn)]
        return torch.cat(found) if found else None

    def side_information(self) -> nn.Module | None:
        """Return the SIE."""
        return self.sie

    def known_sides(self) -> tuple[int, int]:
        """Return the numbers of cameras and of views that have embeddings of their own."""
        return (0, 0) if self.sie is None else (self.sie.sie_embed.shape[0], self.sie.sie_embed.shape[1])

    def split_at(self, blocks: int) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the modules up to this number of blocks, and those after them."""
        if blocks > len(self.blocks):
            raise ConfigError(
                f"optim.frozen_blocks = {blocks}, but the backbone has {len(self.blocks)} blocks; freeze fewer"
            )
        children = {name: child for name, child in self.named_children() if name != "blocks"}
        after = [children.pop(name) for name in ("norm", "jpm") if name in children]
        return [*children.values(), *self.blocks[:blocks]], [*self.blocks[blocks:], *after]

    def copied_weights(self) -> Mapping[str, str]:
        """Return where the JPM's block and norm are copied from."""
        return {} if self.jpm is None else {f"blocks.{len(self.blocks) - 1}.": "jpm.block.", "norm.": "jpm.norm."}


class OverlappingPatches(PatchEmbed):
    """Patches that start every `stride` pixels, floor((size - patch) / stride) + 1 along each side, without padding.

    Raises ValueError if pixels between patches would be lost.
    """

    def __init__(self, *, stride: int, patch_size: int, **values: Any) -> None:
        if not 1 <= stride <= patch_size:
            raise ValueError(f"stride {stride} must lie between 1 and the patch size {patch_size}, or pixels are lost")
        super().__init__(patch_size=patch_size, **values)
        assert self.img_size is not None
        rows, columns = ((side - patch_size) // stride + 1 for side in self.img_size)
        self.grid_size, self.num_patches = (rows, columns), rows * columns
        self.proj.stride = (stride, stride)


class SIE(nn.Module):
    """Side information embedding: a learned vector of camera and view, added to every token.

    There are `cameras` x `views` of them; 0 cameras (views) means that cameras (views) make no difference. For an index
    outside of those, such as -1, the mean of the learned vectors is added.
    """

    def __init__(self, cameras: int, views: int, dimension: int, *, scale: float = 3.0) -> None:
        super().__init__()
        self.scale = scale
        self.sie_embed = nn.Parameter(torch.empty(max(cameras, 1), max(views, 1), dimension))
        nn.init.trunc_normal_(self.sie_embed, std=STD)

    def forward(self, camera: Tensor, view: Tensor) -> Tensor:
        """Return the scaled vectors (B, 1, D) of cameras (B,) and views (B,)."""
        cameras, views, _ = self.sie_embed.shape
        return self.table()[or_unknown(camera, cameras), or_unknown(view, views)][:, None]

    def table(self) -> Tensor:
        """Return all vectors, scaled: (cameras + 1, views + 1, D), the last of each for the unknown."""
        known = torch.cat([self.sie_embed, self.sie_embed.mean(0, keepdim=True)])
        return self.scale * torch.cat([known, known.mean(1, keepdim=True)], dim=1)


def or_unknown(index: Tensor, count: int) -> Tensor:
    """Return indices from 0 to `count` - 1 as they are, and `count` for all others."""
    return torch.where((index < 0) | (index >= count), count, index)


class JPM(nn.Module):
    """Jigsaw patch module: local features by a copy of the last `block` and of the final `norm`, shared by all parts.

    Each part is the class token and the patches of one row of `patch_indices` (parts, L).
    """

    patch_indices: Tensor

    def __init__(self, block: nn.Module, norm: nn.Module, patch_indices: Tensor) -> None:
        super().__init__()
        copy: Any = deepcopy(block)
        select_patches(copy.attn, patch_indices)
        self.block, self.norm = copy, deepcopy(norm)
        self.register_buffer("patch_indices", patch_indices, persistent=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Return one (B, D) per part, from the tokens (B, 1 + N, D) that enter the last block."""
        parts, length = self.patch_indices.shape
        width = tokens.shape[2]
        patches = tokens[:, 1:][:, self.patch_indices.flatten()].reshape(-1, parts, length, width)
        cls = tokens[:, None, :1].expand(-1, parts, -1, -1)  # (B, parts, 1, D)
        pieces = torch.cat([cls, patches], dim=2).flatten(0, 1)  # (B x parts, 1 + L, D)
        local: Tensor = self.norm(self.block(pieces))[:, 0]
        return local.reshape(-1, parts, width).unbind(1)


def jpm_indices(patches: int, *, roll: int = 4, groups: int = 2, parts: int = 4) -> Tensor:
    """Return the indices (parts, patches // parts) of the patches in each part of the JPM.

    The sequence is rolled to the left by `roll` patches, cut into `groups` that are interleaved, and cut into `parts`;
    what does not fill a part is dropped. A length that `groups` does not divide is filled with its last patch but one,
    as in the published code for two groups. (The paper's "shift 5" rolls by 4 in that code.)

    Raises ValueError if a part would be empty or the roll is longer than the sequence.
    """
    if not 0 <= roll < patches or not 1 <= groups <= patches or not 1 <= parts <= patches:
        raise ValueError(f"roll {roll}, groups {groups} and parts {parts} do not fit {patches} patches")
    order = torch.arange(patches).roll(-roll)
    order = torch.cat([order, order[-2:-1].expand(-patches % groups)])
    shuffled = order.view(groups, -1).T.flatten()
    length = patches // parts
    return shuffled[: parts * length].view(parts, length)


class PositionEmbedding1d(nn.Module):
    """A vector (D,) for each of the N patches and one for the class token."""

    def __init__(self, grid: tuple[int, int], dimension: int) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + grid[0] * grid[1], dimension))
        nn.init.trunc_normal_(self.pos_embed, std=STD)

    def forward(self) -> Tensor:
        """Return (1, 1 + N, D), class token first, patches by rows."""
        return self.pos_embed


class PositionEmbedding2d(nn.Module):
    """Half of the vector for the row, half for the column; the class token has a vector of its own."""

    def __init__(self, grid: tuple[int, int], dimension: int) -> None:
        super().__init__()
        height, width = grid
        self.cls_pos_embed = nn.Parameter(torch.empty(1, 1, dimension))
        self.row_pos_embed = nn.Parameter(torch.empty(height, 1, dimension // 2))
        self.column_pos_embed = nn.Parameter(torch.empty(1, width, dimension - dimension // 2))
        for parameter in self.parameters():
            nn.init.trunc_normal_(parameter, std=STD)

    def forward(self) -> Tensor:
        """Return (1, 1 + N, D), class token first, patches by rows."""
        height, width = len(self.row_pos_embed), self.column_pos_embed.shape[1]
        rows, columns = self.row_pos_embed.expand(-1, width, -1), self.column_pos_embed.expand(height, -1, -1)
        return torch.cat([self.cls_pos_embed, torch.cat([rows, columns], dim=2).flatten(0, 1)[None]], dim=1)


POSITIONS: dict[str, Callable[[tuple[int, int], int], nn.Module]] = {
    "1d": PositionEmbedding1d,
    "2d": PositionEmbedding2d,
}
"""Position embeddings for a grid (rows, columns) and a width."""

POSITION_LAYERS: dict[str, Callable[[int], tuple[int, ...]]] = {
    "stem": lambda depth: (0,),
    "every": lambda depth: tuple(range(depth)),
    "shared": lambda depth: (0,) * depth,
}
"""Index of the position embedding that is added before each block, from the first block on, for a depth."""


class PositionEmbedding(nn.Module):
    """Position embeddings of a `grid` (rows, columns) of patches for `depth` blocks.

    Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, table 8. `kind` is a name of POSITIONS, `at` one of
    POSITION_LAYERS.
    """

    def __init__(self, kind: str, at: str, *, grid: tuple[int, int], dimension: int, depth: int) -> None:
        super().__init__()
        self._layers = POSITION_LAYERS[at](depth)
        self.embeddings = nn.ModuleList(POSITIONS[kind](grid, dimension) for _ in range(max(self._layers) + 1))

    def before(self, block: int) -> Tensor | None:
        """Return what is added to the tokens before this block, (1, 1 + N, D), or None."""
        if block >= len(self._layers):
            return None
        embedding: Tensor = self.embeddings[self._layers[block]]()
        return embedding

    def patches(self) -> Tensor:
        """Return the first position embedding of the patches (N, D)."""
        embedding: Tensor = self.embeddings[0]()
        return embedding[0, 1:]


def pool_cls(tokens: Tensor) -> Tensor:
    """Return the class token."""
    return tokens[:, 0]


def pool_mean(tokens: Tensor) -> Tensor:
    """Return the mean of the patches."""
    return tokens[:, 1:].mean(1)


def pool_weighted(tokens: Tensor) -> Tensor:
    """Return the mean of the patches, weighted by their similarity to the class token."""
    return (cls_patch_similarity(tokens)[:, None] @ tokens[:, 1:])[:, 0]


def pool_cls_gem(tokens: Tensor) -> Tensor:
    """Return the class token plus the generalised mean (p = 3) of the patches, as TransReID-SSL's GEM_POOLING does."""
    return tokens[:, 0] + tokens[:, 1:].clamp(min=1e-6).pow(3).mean(1).pow(1 / 3)


def cls_patch_similarity(tokens: Tensor) -> Tensor:
    """Return softmax(cls . patch / sqrt D), (B, N), rows of sum 1."""
    cls, patches = tokens[:, :1], tokens[:, 1:]
    products: Tensor = cls @ patches.transpose(1, 2) * cls.shape[2] ** -0.5
    return products.softmax(2)[:, 0]


POOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "cls": pool_cls,
    "mean": pool_mean,
    "weighted": pool_weighted,
    "cls_gem": pool_cls_gem,
}
"""From normed tokens (B, 1 + N, D), class token first, to one feature (B, D)."""
