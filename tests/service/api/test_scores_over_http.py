"""Metrics of a ranking do not change on their way through the service."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from vitreid.bundle import Bundle, parse_market_name, read_image
from vitreid.scoring import Labelled, score_retrieval
from vitreid.service.api.app import create_app
from vitreid.service.api.state import open_service
from vitreid.service.config import ServiceConfig
from vitreid.service.intake.cameras import map_cameras
from vitreid.service.intake.folders import read_folder
from vitreid.service.intake.indexing import index_folder
from vitreid.service.models.embedder import Embedder
from vitreid.service.models.runtimes import RuntimeChoice
from vitreid.synthetic import draw_dataset


def labels_of(paths: list[Path]) -> tuple[list[str], list[str]]:
    names = [parse_market_name(path.name) for path in paths]
    return [name.label for name in names if name], [name.camera_id for name in names if name]


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["fake", "onnx"])
def test_map_over_http_equals_scoring_the_embeddings(tmp_path: Path, tiny_bundle: Path, runtime: str) -> None:
    people = tmp_path / "people"
    draw_dataset(people, identities=8, cameras=3, images=2, seed=5, workers=1, size=(64, 32))
    gallery_paths, query_paths = (sorted((people / part).glob("*.jpg")) for part in ("bounding_box_test", "query"))

    embedder = Embedder(Bundle.open(tiny_bundle), RuntimeChoice(runtime, threads=1))
    embedded = {}
    for name, paths in (("gallery", gallery_paths), ("query", query_paths)):
        persons, cameras = labels_of(paths)
        embeddings = embedder.embed([read_image(path) for path in paths], cameras)
        embedded[name] = Labelled.of(name, embeddings, persons, cameras)
    direct = score_retrieval(embedded["query"], embedded["gallery"])

    precisions, first = [], []
    config = ServiceConfig(data=tmp_path / "data", bundle=tiny_bundle, runtime=runtime, threads=1)
    with open_service(config) as service:
        map_cameras(service.gallery(), service.bundle.manifest, {"c1": "c1", "c2": "c2"})
        index_folder(read_folder(people / "bounding_box_test"), service.gallery(), service.embedder)
        with TestClient(create_app(config, service)) as client:
            for path, person, camera in zip(query_paths, *labels_of(query_paths), strict=True):
                answer = client.post(
                    "/v1/query",
                    content=path.read_bytes(),
                    headers={"content-type": "image/jpeg"},
                    params={"camera_id": camera, "k": 10_000},
                ).json()
                assert len(answer["matches"]) == len(gallery_paths)
                kept = [
                    match["person_id"] == person
                    for match in answer["matches"]
                    if (match["person_id"], match["camera_id"]) != (person, camera)
                ]
                ranks = [rank for rank, right in enumerate(kept, start=1) if right]
                precisions.append(np.mean([found / rank for found, rank in enumerate(ranks, start=1)]))
                first.append(kept[0])
    assert np.mean(precisions) == pytest.approx(direct.mAP, abs=1e-6)
    assert np.mean(first) == pytest.approx(direct.rank(1), abs=1e-6)
    assert 0.1 < direct.mAP < 1
