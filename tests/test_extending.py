"""The examples of docs/extending.md are complete: each runs in its registry as the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest
import torch

from tests.paths import REPOSITORY
from vitreid.bundle import Bundle
from vitreid.export.fast import fast_form
from vitreid.service.gallery import Gallery, NewItem
from vitreid.service.indexes import INDEXES
from vitreid.service.models.runtimes import RUNTIMES, RuntimeChoice, load_runtime
from vitreid.service.search import Query, candidates, reranking, search
from vitreid.service.search.request import SearchRequest
from vitreid.training import losses
from vitreid.training.backbones import BACKBONES
from vitreid.training.config import parse_config
from vitreid.training.datasets import DATASETS, read_dataset
from vitreid.training.losses import LossBatch, TotalLoss
from vitreid.training.model import Branch, build_model

PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")


def example(heading: str, language: str) -> str:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    [block] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return block


def module(heading: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The Python block of a section as a module."""
    made = ModuleType("an_example")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    exec(compile(example(heading, "python"), heading, "exec"), made.__dict__)
    return made


TREE = [
    "vitreid",
    "bundle",
    "scoring",
    "synthetic",
    "training",
    "export",
    "service",
    "benchmarks",
    "tests",
    "docs",
    "docker",
]
FILES = [
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docker-compose.yml",
    "Makefile",
]
# What a reader does with an example: section, new file, and lines to insert before others in further files.
ADDITIONS = (
    (
        "A loss",
        "training/losses/compact.py",
        {
            "training/losses/__init__.py": (
                ("from vitreid.training.losses.identity", "from vitreid.training.losses.compact import compact"),
                ('    "identity": identity,', '    "compact": compact,'),
            ),
            "docs/formats.md": (("| `triplet` | ", "| `compact` | `margin` 0 |"),),
        },
    ),
    (
        "An index",
        "service/indexes/sorted.py",
        {
            "service/indexes/__init__.py": (
                ("from vitreid.service.indexes.protocol", "from vitreid.service.indexes.sorted import SortedIndex"),
                ('    "exact": ExactIndex,', '    "sorted": SortedIndex,'),
            )
        },
    ),
)
CHECKS = ("training/losses/test_registry.py", "service/indexes/test_indexes.py", "test_docs_tables.py::test_losses")


@pytest.mark.slow
def test_the_examples_pass_the_tests_of_their_registries(tmp_path: Path) -> None:
    for name in TREE:
        shutil.copytree(REPOSITORY / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(REPOSITORY / name, tmp_path / name)
    for heading, file, insertions in ADDITIONS:
        (tmp_path / file).write_text(example(heading, "python"))
        for changed, lines in insertions.items():
            text = (tmp_path / changed).read_text()
            for before, line in lines:
                assert f"\n{before}" in text, before
                text = text.replace(f"\n{before}", f"\n{line}\n{before}", 1)
            (tmp_path / changed).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "compact or sorted or test_losses"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    checks = [f"tests/{name}" for name in CHECKS]
    result = subprocess.run(
        [*command, *checks], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]
    found = re.search(r"^(\d+) passed", result.stdout, re.MULTILINE)
    assert found
    assert int(found[1]) > 20  # of both registries


def unit_rows(count: int, seed: int, dimension: int = 8) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "made", bundle_id="a" * 64, dimension=8) as opened:
        rows = unit_rows(40, seed=1)
        sites: tuple[dict[str, str], ...] = ({"site": "north"}, {"site": "south"}, {})
        opened.add(
            [
                NewItem(row, f"{place:064d}", metadata=dict(site))
                for place, (row, site) in enumerate(zip(rows, sites * 14, strict=False))
            ]
        )
        yield opened


def test_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    made = module("A loss", monkeypatch)
    recipe = parse_config(example("A loss", "toml"), (), "page").losses
    monkeypatch.setitem(losses.BRANCH_LOSSES, "compact", made.compact)
    features = torch.tensor([[0.0, 0.0], [3.0, 4.0], [9.0, 9.0]], requires_grad=True)
    branch = Branch(features, features, features, features)
    batch = LossBatch((branch,), identities=torch.tensor([0, 0, 1]), sources=torch.arange(3))
    found = TotalLoss({"compact": recipe["compact"]})(batch)
    assert float(found["compact"].detach()) == pytest.approx(5 - 0.2)
    assert float(found["total"].detach()) == pytest.approx(0.1 * (5 - 0.2))
    found["total"].backward()
    assert torch.isfinite(features.grad).all()
    alone = LossBatch((branch,), identities=torch.arange(3), sources=torch.arange(3))
    assert float(made.compact(alone).detach()) == 0


def test_data_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = module("A data set", monkeypatch)
    monkeypatch.setitem(DATASETS, "dashes", made.read_dashes)
    for name in ("anna-c3-0017.jpg", "ben.jpg"):
        (tmp_path / name).touch()
    split = read_dataset("dashes", tmp_path)
    assert [(sample.person, sample.camera) for sample in split.train] == [("anna", "c3"), ("ben", None)]


def test_backbone() -> None:
    model = build_model(parse_config(example("A backbone", "toml"), (), "page"), persons=3, pretrained=False).eval()
    embeddings = model.embed(torch.zeros(2, 64, 32, 3, dtype=torch.uint8))
    assert embeddings.shape == (2, 64)


def test_backbone_of_another_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "small", module("A backbone", monkeypatch).build_small)
    config = parse_config('[model]\nbackbone = "small-1"\nheight = 64\nwidth = 32', (), "page")
    model = build_model(config, persons=3).eval()
    images = torch.randint(0, 256, (2, 64, 32, 3), dtype=torch.uint8)
    assert model(model.normalise(images)).branches[0].logits.shape == (2, 3)
    torch.testing.assert_close(fast_form(model, 18)(images), model.embed(images))


def test_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = module("An index", monkeypatch)
    ids, rows = np.arange(50, dtype=np.int64) * 2, unit_rows(50, seed=3)
    index, reference = (kind.build(8, ids, rows) for kind in (made.SortedIndex, INDEXES["exact"]))
    allowed = np.arange(100) % 3 == 0
    for each in (index, reference):
        each.remove(ids[:7])
    index.save(tmp_path / "index")
    for searched in (index, made.SortedIndex.load(tmp_path / "index", 8)):
        for condition in (None, allowed):
            found = searched.search(unit_rows(4, seed=4), 20, condition)
            expected = reference.search(unit_rows(4, seed=4), 20, condition)
            np.testing.assert_array_equal(found[1], expected[1])
            np.testing.assert_allclose(found[0], expected[0], atol=1e-6)
    monkeypatch.setitem(INDEXES, "sorted", made.SortedIndex)
    with Gallery.open(tmp_path / "gallery", bundle_id="a" * 64, dimension=8, index="sorted") as gallery:
        gallery.add([NewItem(rows[0], "0" * 64)])
        assert gallery.search(rows[:1], 1)[0][0].score == pytest.approx(1)
        assert gallery.info().index == "sorted"


def test_runtime(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    made = module("A runtime", monkeypatch)
    monkeypatch.setitem(RUNTIMES, "single", made.SingleRuntime)
    bundle = Bundle.open(tiny_bundle)
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 32, 3), dtype=np.uint8)
    cameras = np.array([0, 1, -1])
    single, onnx = (load_runtime(bundle, RuntimeChoice(name, threads=1)) for name in ("single", "onnx"))
    np.testing.assert_allclose(single.run(images, cameras), onnx.run(images, cameras), atol=1e-6)
    assert single.run(images[:0], cameras[:0]).shape == (0, 48)


def test_reranking(monkeypatch: pytest.MonkeyPatch, gallery: Gallery) -> None:
    made = module("A re-ranking", monkeypatch)
    monkeypatch.setitem(cast(Any, reranking.RERANKERS), "smoothed", made.smoothed_distances)
    found = search(
        gallery, Query(unit_rows(1, seed=2)[0]), SearchRequest(k=5, rerank=cast(Any, "smoothed"), rerank_top=20)
    )
    distances = [each.rerank_distance for each in found.candidates]
    assert len(distances) == 5
    assert distances == sorted(distances)
    assert 0 <= distances[0] <= 1


def test_grouping(monkeypatch: pytest.MonkeyPatch, gallery: Gallery) -> None:
    made = module("A grouping", monkeypatch)
    monkeypatch.setitem(cast(Any, candidates.GROUPINGS), "site", made.BY_SITE)
    found = search(gallery, Query(unit_rows(1, seed=2)[0]), SearchRequest(k=100, group_by=cast(Any, "site")))
    labelled = {each.label: each.group_size for each in found.candidates if each.label}
    assert labelled == {"north": 14, "south": 13}
    assert sum(each.label is None for each in found.candidates) == 13
