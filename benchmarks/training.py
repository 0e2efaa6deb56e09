"""Cost of the parts of TransReID and of the losses on patches, in a training step on the CPU.

    python -m benchmarks.training [--rounds N]

A step is a forward pass in bfloat16, the losses, the backward pass and the optimiser, on the same 16 images (four of
four persons). The configurations take turns; a ratio is the median over rounds of times measured next to each other.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import timm
import torch
from torch import Tensor, nn

from vitreid.training.backbones import fuse_attention
from vitreid.training.config import TrainConfig
from vitreid.training.losses import LossBatch, LossSizes, TotalLoss
from vitreid.training.model import BNNeck, ReIDOutput, build_model

PERSONS, IMAGES_PER_PERSON, CLASSES, CAMERAS = 4, 4, 751, 6
SIZE = (256, 128)
VIT_S = "vit_small_patch16_224"
IDENTITY_AND_TRIPLET: dict[str, dict[str, Any]] = {"identity": {}, "triplet": {}}
RELATIVE: dict[str, Any] = {"relative": "bias"}
CONFIGURATIONS: dict[str, tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]] = {
    "ours, no parts": ({}, {}),
    "SIE": ({"sie": "camera"}, {}),
    "JPM": ({"jpm": {}}, {}),
    "SIE + JPM": ({"sie": "camera", "jpm": {}}, {}),
    "weighted triplet": ({}, {"weighted_triplet": {}}),
    "relative bias": (RELATIVE, {}),
    "relation triplet": (RELATIVE, {"relation_triplet": {}}),
    "relation divergence": (RELATIVE, {"relation_divergence": {}}),
}
"""Differences from our plain model: keys of the model, and additional losses."""
BASELINES: dict[str, Any] = {
    "weighted triplet": "ours, no parts",
    "relation triplet": "relative bias",
    "relation divergence": "relative bias",
}
"""Baselines of configurations that are not compared with timm's model."""


class Plain(nn.Module):
    """timm's model, with a BNNeck on its class token."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        vit: Any = timm.create_model(VIT_S, img_size=SIZE, num_classes=0, **options)
        self.vit, self.neck = vit, BNNeck(vit.num_features, CLASSES)

    def forward(self, images: Tensor, camera: Tensor) -> ReIDOutput:
        """Return features and logits."""
        return ReIDOutput((self.neck(self.vit(images)),), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    print("\n".join(lines(measure(rounds=parser.parse_args().rounds))))


def measure(*, rounds: int, **options: Any) -> dict[str, list[float]]:
    """Return the seconds of a step by configuration, one value per round; `options` go to the constructors."""
    steps = {"timm": stepper(Plain(options), IDENTITY_AND_TRIPLET)}
    for name, (model, losses) in CONFIGURATIONS.items():
        config = TrainConfig.model_validate(
            {"model": {"backbone": VIT_S, "height": SIZE[0], "width": SIZE[1], "options": options, **model}}
        )
        built = build_model(config, persons=CLASSES, cameras=CAMERAS)
        steps[name] = stepper(built, {**IDENTITY_AND_TRIPLET, **losses}, len(built.necks))
    for step in steps.values():
        step()
    took: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            took[name].append(time.perf_counter() - started)
    return took


def stepper(model: nn.Module, losses: Mapping[str, Mapping[str, Any]], branches: int = 1) -> Callable[[], None]:
    """Return a function that runs a training step on random images."""
    random = torch.Generator().manual_seed(0)
    images = torch.randn(PERSONS * IMAGES_PER_PERSON, 3, *SIZE, generator=random)
    persons = torch.arange(PERSONS).repeat_interleave(IMAGES_PER_PERSON)
    cameras, sources = torch.arange(len(persons)) % CAMERAS, torch.arange(len(persons))
    fuse_attention(model.train(), False)  # as in training on a CPU
    total = TotalLoss(losses, LossSizes(branches=branches))
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            output = model(images, cameras)
        batch = LossBatch(output.branches, persons, sources, output.tokens, cameras)
        total(batch)["total"].backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def lines(took: Mapping[str, list[float]]) -> Iterator[str]:
    """Yield the table as Markdown."""
    yield "| step of ViT-S at 256x128 | ms | compared with | ratio | goal: at most |\n|---|---|---|---|---|"
    yield f"| timm, unchanged | {statistics.median(took['timm']) * 1e3:.0f} | | | |"
    for name in CONFIGURATIONS:
        other = BASELINES.get(name, "timm")
        ratio = statistics.median(own / its for own, its in zip(took[name], took[other], strict=True))
        goal = f"{allowed(name):.3f}" if name in GOALS else ""
        yield f"| {name} | {statistics.median(took[name]) * 1e3:.0f} | {other} | {ratio:.3f} | {goal} |"


def allowed(name: str) -> float:
    """Return the allowed ratio: 5 % more, and for the JPM the share of tokens in its additional block."""
    patches, depth = (SIZE[0] // 16) * (SIZE[1] // 16), 12
    parts = 4
    share = (parts * (1 + patches // parts)) / ((1 + patches) * depth) if "JPM" in name else 0.0
    return 1.05 + share


GOALS = ("SIE + JPM", "weighted triplet", "relation triplet", "relation divergence")

if __name__ == "__main__":
    main()
