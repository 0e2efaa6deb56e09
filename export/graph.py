"""What is exported: uint8 pictures in, unit embeddings out, everything between them inside the graph."""

from __future__ import annotations

from torch import Tensor, nn

from training.model import ReIDModel


class EmbeddingGraph(nn.Module):
    """uint8 (B, H, W, 3) pictures to float32 (B, D) unit embeddings; mean, std and norm are constants of the graph."""

    def __init__(self, model: ReIDModel) -> None:
        super().__init__()
        self.model = model.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Embed a batch."""
        return self.model.embed(images)
