"""Query a running service with drawn people: python3 docker/ask.py http://127.0.0.1:8000 PEOPLE [LEAST]

PEOPLE is a folder in Market-1501 layout whose bounding_box_test is the gallery. Prints a JSON line an image, its name
and its best matches, so that two runs can be compared. Fails unless every image of the gallery finds itself first,
and the share of queries whose best match shows the same person is above LEAST (default 0.5; blind picks among a dozen
people are right for one in twelve). Needs no packages.
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


def main(address: str, people: Path, least: float = 0.5) -> str | None:
    """Ask for all images; returns what is wrong, or None."""
    for image in images(people / "bounding_box_test"):
        best = ask(address, image)[0]
        if Path(best["source"]).name != image.name or best["score"] < SAME_IMAGE:
            return f"{image.name} is in the gallery, but its best match is {best['source']} with {best['score']}"
    queries = images(people / "query")
    right = sum(ask(address, image)[0]["person_id"] == image.name.partition("_")[0] for image in queries)
    print(f"{right} of {len(queries)} best matches show the same person", file=sys.stderr)
    return None if right > least * len(queries) else "too many best matches show somebody else"


def images(folder: Path) -> list[Path]:
    """The images of a folder, by name; ends the program where there are none."""
    return sorted(folder.glob("*.jpg")) or sys.exit(f"there are no images in {folder}")


def ask(address: str, image: Path) -> list[dict[str, Any]]:
    """The matches of one image, printed too; each has source, person_id and score."""
    camera_id = image.name.split("_")[1].partition("s")[0]
    request = urllib.request.Request(
        f"{address}/v1/query?k={K}&camera_id={camera_id}", image.read_bytes(), {"Content-Type": "image/jpeg"}
    )
    # The machine's proxy settings are for other machines than this one.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        matches: list[dict[str, Any]] = json.load(answer)["matches"]
    if len(matches) != K:
        sys.exit(f"{image.name} has {len(matches)} matches instead of {K}")
    print(json.dumps([image.name, *([match["source"], round(match["score"], 5)] for match in matches)]))
    return matches


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *map(float, sys.argv[3:])))
