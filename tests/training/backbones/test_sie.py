from __future__ import annotations

import pytest
import torch

from vitreid.training.backbones.transreid import SIE


def test_a_camera_and_view_have_one_vector() -> None:
    side = SIE(3, 2, 4, scale=3.0)
    found = side(torch.tensor([2, 0]), torch.tensor([1, 0]))
    expected = 3 * torch.stack([side.sie_embed[2, 1], side.sie_embed[0, 0]])[:, None]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("unknown", [-1, 3, 99])
def test_what_was_not_learned_is_the_mean(unknown: int) -> None:
    side = SIE(3, 2, 4, scale=1.0)
    found = side(torch.tensor([unknown, unknown, 1]), torch.tensor([0, -1, -1]))[:, 0]
    torch.testing.assert_close(found[0], side.sie_embed[:, 0].mean(0))
    torch.testing.assert_close(found[1], side.sie_embed.mean((0, 1)))
    torch.testing.assert_close(found[2], side.sie_embed[1].mean(0))


def test_cameras_alone() -> None:
    """Without views, any view is the only one."""
    side = SIE(3, 0, 4)
    every = [side(torch.tensor([1]), torch.tensor([view])) for view in (-1, 0, 5)]
    assert all(torch.equal(each, every[0]) for each in every)
