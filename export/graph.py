"""The network as it is exported: uint8 images in, unit embeddings out."""

from __future__ import annotations

from torch import Tensor, nn

from vitreid.training.model import ReIDModel


class EmbeddingGraph(nn.Module):
    """uint8 (B, H, W, 3) images to float32 (B, D) unit embeddings; mean, std and norm are constants of the graph.

    The network as it was trained, with which every other form of it is compared. `inputs` are their names.
    """

    def __init__(self, model: ReIDModel) -> None:
        super().__init__()
        self.model = model.eval()
        self.inputs = inputs_of(model)

    def forward(self, images: Tensor, camera: Tensor | None = None, view: Tensor | None = None) -> Tensor:
        """Embed a batch; cameras and views (B,) are indices, -1 or None = unknown."""
        return self.model.embed(images, camera, view)


def inputs_of(model: ReIDModel) -> tuple[str, ...]:
    """Return the inputs of its graph: `images`, and `camera` and `view` if several of them have embeddings."""
    cameras, views = model.backbone.known_sides()
    return ("images", *(["camera"] if cameras > 1 else []), *(["view"] if views > 1 else []))
