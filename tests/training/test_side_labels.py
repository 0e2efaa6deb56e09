"""Cameras and views of images beside those that a model learned: published scores are had, or a line says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.pretrained.transreid import as_transreid
from vitreid import cli
from vitreid.training.checkpoint import Checkpoint
from vitreid.training.config import parse_config
from vitreid.training.datasets import Sample, read_dataset
from vitreid.training.evaluation.embed import batches, open_retrieval_model
from vitreid.training.model import build_model
from vitreid.training.pretrained.convert import import_weights
from vitreid.training.side_labels import side_labels, side_warnings, told_apart

CONFIG = """
[model]
options = { embed_dim = 64, depth = 2, num_heads = 1 }
height = 64
width = 32
sie = "both"
"""
CAMERAS, VIEWS = 3, 8
AuditFilter = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def vehicles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VeRi-776's layout: two vehicles before every camera, each from a view of its own."""
    folder, views = tmp_path_factory.mktemp("veri"), []
    random = np.random.default_rng(0)
    for part, persons in (("train", (1, 2)), ("query", (3, 4)), ("test", (3, 4))):
        (folder / f"image_{part}").mkdir()
        for person in persons:
            for camera in range(1, CAMERAS + 1):
                path = folder / f"image_{part}" / f"{person:04d}_c{camera:03d}_00000001_0.jpg"
                Image.fromarray(random.integers(0, 256, (64, 32, 3), dtype=np.uint8)).save(path)
                views.append(f"{path} {'0 ' * 40}{(person + camera) % VIEWS}\n")
    (folder / "keypoint_train.txt").write_text("".join(views))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint imported from a file whose side information outweighs the images."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(2)
    built = build_model(parse_config(CONFIG, (), "test"), persons=2, cameras=CAMERAS, views=VIEWS)
    torch.nn.init.normal_(built.backbone.get_parameter("sie.sie_embed"))
    state = as_transreid(built)
    torch.save(state | {"base.sie_embed": state["base.sie_embed"].reshape(-1, 1, 64)}, folder / "veri.pth")
    import_weights(folder / "veri.pth", folder / "veri", size=(64, 32), cameras=CAMERAS, views=VIEWS)
    return folder / "veri"


def test_the_file_numbers_of_cameras_and_views_reach_the_network(model: Path, vehicles: Path) -> None:
    """Camera c002 is index 1, view 5 is index 5, as the published code counts them."""
    samples, embedder = read_dataset("veri776", vehicles).query, open_retrieval_model(model)
    [(_, cameras, views)] = batches(samples, embedder)
    names = [sample.path.name for sample in samples]
    assert cameras.tolist() == [int(name[6:9]) - 1 for name in names]
    assert views.tolist() == [(int(name[:4]) + int(name[6:9])) % VIEWS for name in names]


@pytest.fixture
def evaluate(vehicles: Path, capsys: pytest.CaptureFixture[str]) -> AuditFilter:
    def evaluate(model: Path, *options: str) -> tuple[int, str]:
        code = cli.run(["evaluate", str(model), "--data", f"veri776={vehicles}", *options])
        return code, capsys.readouterr().out

    return evaluate


def test_an_evaluation_that_knows_all_says_so(model: Path, evaluate: AuditFilter) -> None:
    code, out = evaluate(model)
    assert (code, out.count("note")) == (0, 0)
    told = json.loads(evaluate(model, "--json")[1])["sides"]
    assert told["cameras"] == {
        "known": ["c1", "c2", "c3"],
        "unknown": [],
        "learned": ["c1", "c2", "c3"],
        "images": 0,
        "unlabelled": 0,
    }
    assert told["views"]["unknown"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cameras", "line"),
    [
        (
            ["gate", "hall", "yard"],
            "none of the cameras of these images (unknown: c1, c2, c3; it learned gate, hall, yard): 12",
        ),
        (["c1", "c2", "yard"], "2 of the cameras of these images (unknown: c3; it learned c1, c2, yard): 4"),
    ],
)
def test_cameras_that_the_model_does_not_know(
    model: Path, evaluate: AuditFilter, tmp_path: Path, cameras: list[str], line: str
) -> None:
    opened = Checkpoint.open(model)
    (tmp_path / "other").mkdir()
    for file in model.iterdir():
        (tmp_path / "other" / file.name).write_bytes(file.read_bytes())
    changed = {**opened.metrics, "cameras": cameras}
    (tmp_path / "other" / "metrics.json").write_text(json.dumps(changed))
    out = evaluate(tmp_path / "other")[1].splitlines()
    assert out[1:] == [f"note: the model knows {line} images are embedded with the mean of all its cameras"]
    told = json.loads(evaluate(tmp_path / "other", "--json")[1])["sides"]["cameras"]
    assert set(told["unknown"]) == {"c1", "c2", "c3"} - set(cameras)
    assert "note" not in evaluate(tmp_path / "other", "--other-cameras")[1]
    compared = evaluate(model, "--compare", str(tmp_path / "other"))[1]
    assert f"note: the model knows {line}" in compared


def test_images_that_say_no_view() -> None:
    samples = [Sample(Path(name), "1", "c1", view) for name, view in (("a", None), ("b", "0"), ("c", "9"))]
    labels = side_labels(samples, cameras=(), views=("0", "1"))
    assert list(side_warnings(labels)) == [
        "the model knows 1 of the views of these images (unknown: 9, 1 images say none; it learned 0, 1): "
        "2 images are embedded with the mean of all its views"
    ]
    many = side_labels([Sample(Path(), "1", f"c{i}") for i in range(1, 9)], cameras=("a", "b"), views=())
    assert "unknown: c1, c2, c3, c4, c5, c6 and 2 more;" in next(side_warnings(many))


def test_what_side_information_tells_apart() -> None:
    cameras, views = ("c1", "c2"), ("0",)
    assert told_apart("both", cameras, views) == (cameras, ())
    assert told_apart("view", cameras, ("0", "1")) == ((), ("0", "1"))
    assert told_apart("none", cameras, views) == ((), ())
    assert not side_labels([Sample(Path(), "1", "c9")], cameras=(), views=())
