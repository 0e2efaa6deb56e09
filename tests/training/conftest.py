"""A data set of coloured rectangles, small enough to train on within a test, and recipes that fit it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vitreid.training.config import TrainConfig, parse_config

torch.set_num_threads(1)

RECIPE = """
seed = 3
epochs = 3
evaluate_every = 1
[model]
backbone = "vit_tiny_patch16_224"
options = { embed_dim = 24, depth = 2, num_heads = 2, drop_path_rate = 0.2, proj_drop_rate = 0.1 }
height = 64
width = 32
[data]
identities_per_batch = 4
images_per_identity = 2
workers = 0
[augment]
pad = 4
brightness = 0.2
[optim]
name = "adamw"
lr = 1e-3
warmup_epochs = 1
clip_norm = 1.0
"""


@pytest.fixture
def config() -> TrainConfig:
    return parse_config(RECIPE, (), "test")


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training persons and four test persons by two cameras, each a colour of its own plus noise."""
    folder = tmp_path_factory.mktemp("people")
    random = np.random.default_rng(0)
    for part, persons in (
        ("bounding_box_train", range(1, 9)),
        ("query", range(9, 13)),
        ("bounding_box_test", range(9, 13)),
    ):
        (folder / part).mkdir()
        for person in persons:
            color = np.random.default_rng(person).integers(40, 216, 3)
            for camera in (1, 2):
                pixels = np.clip(color + random.normal(0, 20, (64, 32, 3)), 0, 255).astype(np.uint8)
                name = f"{person:04d}_c{camera}s1_{camera:06d}_00.jpg"
                Image.fromarray(pixels).save(folder / part / name)
    return folder
