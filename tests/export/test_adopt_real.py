"""Models as people export them: torch's exporter, a residual network, a transformer and an OSNet, random weights."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from vitreid.bundle import BundleRunner
from vitreid.export.adopt import adopt
from vitreid.export.original import Original
from vitreid.export.pixels import InputSpec

HEIGHT, WIDTH = 64, 32
IMAGES = np.random.default_rng(0).integers(0, 256, (12, HEIGHT, WIDTH, 3), dtype=np.uint8)


class Gate(nn.Module):
    """OSNet's: how much each channel of each scale counts."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 4, 1), nn.ReLU(), nn.Conv2d(4, channels, 1), nn.Sigmoid()
        )

    def forward(self, maps: Tensor) -> Tensor:
        return maps * self.weights(maps)


class OmniScale(nn.Module):
    """OSNet's block: streams of one to three depthwise convolutions, gated and added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        step = [nn.Conv2d(channels, channels, 1, bias=False), nn.Conv2d(channels, channels, 3, 1, 1, groups=channels)]
        self.streams = nn.ModuleList(nn.Sequential(*step * depth, nn.BatchNorm2d(channels)) for depth in (1, 2, 3))
        self.gate = Gate(channels)
        self.norm = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(maps + self.norm(sum(self.gate(stream(maps)) for stream in self.streams)))


class SmallOsnet(nn.Module):
    """From images to a row by global pooling and a layer, with `view` as the original has it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 7, 2, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(OmniScale(16), nn.AvgPool2d(2), OmniScale(16))
        self.layer = nn.Sequential(nn.Linear(16, 24), nn.BatchNorm1d(24), nn.ReLU())

    def forward(self, images: Tensor) -> Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(self.blocks(self.stem(images)), 1)
        return self.layer(pooled.view(pooled.size(0), -1))


MODELS = {
    "osnet": SmallOsnet,
    "resnet": lambda: timm.create_model("test_resnet", num_classes=0),
    "transformer": lambda: timm.create_model("test_vit", num_classes=0, img_size=(HEIGHT, WIDTH)),
}


def write(model: nn.Module, file: Path, *, dynamo: bool, axes: dict | None) -> None:
    """By the exporter of today, with its weights beside the file, or by the one that most files are from."""
    example = (torch.zeros(1, 3, HEIGHT, WIDTH),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            torch.onnx.export(model, example, dynamo=True, verbose=False).save(str(file), external_data=True)
        else:
            names: dict[str, Any] = {"input_names": ["images"], "output_names": ["feature"], "dynamic_axes": axes}
            torch.onnx.export(model, example, file, dynamo=False, opset_version=14, **names)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "batch", "dynamo"),
    [("osnet", 1, False), ("resnet", "any", False), ("transformer", 1, False), ("transformer", 1, True)],
)
def test_embeddings_are_those_of_torch(tmp_path: Path, name: str, batch: int | str, dynamo: bool) -> None:
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_var, 0.5, 2)
    write(model, tmp_path / "model.onnx", dynamo=dynamo, axes=None if batch == 1 else {"images": {0: "batch"}})
    original = Original.open(tmp_path / "model.onnx", InputSpec())
    bundle = adopt(original, tmp_path / "bundle", IMAGES, parity_data="noise")
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = model((torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255 - mean) / std)
    expected = nn.functional.normalize(expected, dim=1).numpy()
    np.testing.assert_allclose(BundleRunner(bundle, threads=1).run(IMAGES), expected, atol=1e-5)
    assert bundle.manifest.source["batch"] == ("made dynamic" if batch == 1 else "dynamic")
