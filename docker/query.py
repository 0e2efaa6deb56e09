"""Query a running service with drawn people: python3 docker/query.py http://127.0.0.1:8000 PEOPLE [MIN_SHARE]

PEOPLE is a folder in Market-1501's layout whose bounding_box_test is the gallery. Prints one line of JSON per image, its
name and best matches, so that two runs can be compared. Fails unless every gallery image finds itself first, and the
share of queries whose best match shows the same person exceeds MIN_SHARE (default 0.5; chance is one in twelve for a
dozen people). Needs no packages.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

K = 5
TIMEOUT_S = 60
SAME_IMAGE = 0.999


def main(address: str, people: Path, min_share: float = 0.5) -> str | None:
    """Query with all images; return the failure as text, or None."""
    for image in images(people / "bounding_box_test"):
        best = query(address, image)[0]
        if Path(best["source"]).name != image.name or best["score"] < SAME_IMAGE:
            return f"{image.name} is in the gallery, but its best match is {best['source']} with {best['score']}"
    queries = images(people / "query")
    right = sum(query(address, image)[0]["person_id"] == image.name.partition("_")[0] for image in queries)
    print(f"{right} of {len(queries)} best matches show the same person", file=sys.stderr)
    return None if right > min_share * len(queries) else "too many best matches show another person"


def images(folder: Path) -> list[Path]:
    """The images of a folder, sorted by name; exit if there are none."""
    return sorted(folder.glob("*.jpg")) or sys.exit(f"there are no images in {folder}")


def query(address: str, image: Path) -> list[dict[str, Any]]:
    """Print and return the matches of one image; each has source, person_id and score."""
    camera_id = image.name.split("_")[1].partition("s")[0]
    request = urllib.request.Request(
        f"{address}/v1/query?k={K}&camera_id={camera_id}", image.read_bytes(), {"Content-Type": "image/jpeg"}
    )
    # Proxy settings of the machine do not apply to itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=TIMEOUT_S) as response:
        matches: list[dict[str, Any]] = json.load(response)["matches"]
    if len(matches) != K:
        sys.exit(f"{image.name} has {len(matches)} matches instead of {K}")
    print(json.dumps([image.name, *([match["source"], round(match["score"], 5)] for match in matches)]))
    return matches


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *map(float, sys.argv[3:])))
