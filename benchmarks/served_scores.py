"""Scores through the running service, compared with those of `vitreid evaluate`.

Indexes a data set's gallery, starts `vitreid serve`, sends every query image with its camera to `POST /v1/query`,
removes images of the query's person from its camera from each answer, and compares mAP and rank-1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.running import serving
from vitreid.bundle import Bundle, Manifest, parse_market_name
from vitreid.service.gallery import Gallery
from vitreid.service.intake.cameras import map_cameras


def main() -> None:
    """Print both scores and their difference as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="a data set in Market-1501's layout")
    options = parser.parse_args()
    print(json.dumps(compare(options.bundle, options.data)))


def compare(bundle: Path, data: Path) -> dict[str, Any]:
    """Return the scores of the service and of `vitreid evaluate` with one bundle and data set."""
    evaluated = json.loads(vitreid("evaluate", bundle, "--data", data, "--json"))
    with tempfile.TemporaryDirectory() as folder:
        gallery = Path(folder) / "galleries" / "default"
        map_cameras_by_name(gallery, Bundle.open(bundle).manifest)
        vitreid("index", data / "bounding_box_test", "--gallery", gallery, "--bundle", bundle)
        with serving(Path(folder), bundle) as service:
            served = served_scores(service.address, data)
    difference = abs(served["mAP"] - evaluated["mAP"])
    return {"served": served, "evaluated": evaluated, "mAP_difference": difference}


def map_cameras_by_name(folder: Path, manifest: Manifest) -> None:
    """Create a gallery whose cameras are mapped to model cameras of the same names, as in `vitreid evaluate`."""
    with Gallery.open(folder, bundle_id=manifest.bundle_id, dimension=manifest.dimension) as gallery:
        map_cameras(gallery, manifest, {camera: camera for camera in manifest.cameras})


def served_scores(address: str, data: Path) -> dict[str, float]:
    """Return mAP and rank-1 by the answers of a running service with the data set's gallery."""
    precisions, firsts = [], []
    for path in sorted((data / "query").glob("*.jpg")):
        name = parse_market_name(path.name)
        assert name is not None, path
        matches = ask(f"{address}/v1/query?k=10000&camera_id={name.camera_id}", path)["matches"]
        hits = [
            match["person_id"] == name.label
            for match in matches
            if (match["person_id"], match["camera_id"]) != (name.label, name.camera_id)
        ]
        ranks = [rank for rank, hit in enumerate(hits, 1) if hit]
        if ranks:
            precisions.append(sum(found / rank for found, rank in enumerate(ranks, 1)) / len(ranks))
            firsts.append(float(ranks[0] == 1))
    return {
        "mAP": sum(precisions) / len(precisions),
        "rank1": sum(firsts) / len(firsts),
        "queries": len(precisions),
    }


def ask(address: str, image: Path) -> dict[str, Any]:
    """Send an image and return the answer."""
    request = urllib.request.Request(address, image.read_bytes(), {"Content-Type": "image/jpeg"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        content: dict[str, Any] = json.load(answer)
    return content


def vitreid(*arguments: Any) -> str:
    """Run a `vitreid` command and return its output."""
    command = [sys.executable, "-m", "vitreid", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
