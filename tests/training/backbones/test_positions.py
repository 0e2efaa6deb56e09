from __future__ import annotations

import pytest
import torch

from vitreid.training.backbones import build_vit
from vitreid.training.backbones.transreid import POSITION_LAYERS, POSITIONS, PositionEmbedding

SMALL = {"embed_dim": 24, "depth": 3, "num_heads": 2}


def test_rows_and_columns() -> None:
    """A patch's vector is its row's, then its column's."""
    embedding = PositionEmbedding("2d", "stem", grid=(3, 2), dimension=6, depth=1)
    made = embedding.embeddings[0]
    found = embedding.before(0)
    assert found is not None
    for row in range(3):
        for column in range(2):
            expected = torch.cat([made.row_pos_embed[row, 0], made.column_pos_embed[0, column]])
            torch.testing.assert_close(found[0, 1 + 2 * row + column], expected)
    torch.testing.assert_close(found[0, 0], made.cls_pos_embed[0, 0])
    torch.testing.assert_close(embedding.patches(), found[0, 1:])


@pytest.mark.parametrize("kind", POSITIONS)
@pytest.mark.parametrize(("at", "tables", "added"), [("stem", 1, 1), ("every", 3, 3), ("shared", 1, 3)])
def test_where_it_is_added(kind: str, at: str, tables: int, added: int) -> None:
    embedding = PositionEmbedding(kind, at, grid=(3, 2), dimension=6, depth=3)
    found = [embedding.before(block) for block in range(3)]
    assert len(embedding.embeddings) == tables
    assert sum(each is not None for each in found) == added
    assert set(POSITION_LAYERS) == {"stem", "every", "shared"}
    if at == "every":
        assert not torch.equal(found[0], found[1])


def test_without_positions_the_order_of_patches_does_not_matter() -> None:
    torch.manual_seed(0)
    vit = build_vit("vit_tiny_patch16_224", size=(64, 32), options=SMALL, position="none").eval()
    images = torch.randn(1, 3, 64, 32)
    swapped = torch.cat([images[:, :, 16:32], images[:, :, :16], images[:, :, 32:]], dim=2)
    torch.testing.assert_close(vit(images).global_feature, vit(swapped).global_feature, atol=1e-5, rtol=1e-5)
    placed = build_vit("vit_tiny_patch16_224", size=(64, 32), options=SMALL, position="2d").eval()
    assert not torch.allclose(placed(images).global_feature, placed(swapped).global_feature, atol=1e-5)
