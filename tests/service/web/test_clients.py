"""The programs of docs/clients.md add, find and erase at a running service."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.paths import REPOSITORY
from tests.service.web.actions import Served, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGE = (REPOSITORY / "docs" / "clients.md").read_text(encoding="utf-8")
Make = Callable[..., bytes]


def program(language: str) -> str:
    """The only code block of a language on the page."""
    [block] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(block)


@pytest.fixture
def purging(tmp_path: Path, tiny_bundle: Path, make_image: Make) -> Iterator[Served]:
    """Eight images behind keys, in a gallery that purges erased items at once."""
    with serve(tmp_path / "data", tiny_bundle, with_keys=True, purge_after_s=0) as started:
        started.add_eight(make_image)
        yield started


def run_python(served: Served, key: str, typed: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    environment = {"VITREID_ADDRESS": served.address, "VITREID_KEY": key}
    command = [sys.executable, "-c", program("python"), *map(str, arguments)]
    return subprocess.run(command, input=typed, env=environment, capture_output=True, text=True, timeout=120)


def test_python_adds_finds_and_erases(purging: Served, make_image: Make, tmp_path: Path) -> None:
    for name, seed in (("new.jpg", 30), ("asked.jpg", 3)):
        (tmp_path / name).write_bytes(make_image(seed))
    assert purging.key
    ended = run_python(purging, purging.key, "4", tmp_path / "new.jpg", tmp_path / "asked.jpg")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0] == "added 1, duplicates 0, gallery size 9"
    assert lines[1] == "1  1.0000  item 4  c1  3.jpg"
    assert len(lines) == 7
    assert re.fullmatch(r"ids of the items to erase, or nothing: erased 1, purged from every file at 20.*", lines[-1])
    assert 4 not in [item.id for item in purging.service.gallery("default").items(0, 100)]


def test_python_reports_the_problems_of_the_service(purging: Served, make_image: Make, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "asked.jpg").write_bytes(make_image(3))
    ended = run_python(purging, "vitreid_wrong", "", tmp_path / "asked.jpg", tmp_path / "asked.jpg")
    assert ended.returncode == 1
    assert "401: " in ended.stderr.splitlines()[-1]
    assert purging.key
    ended = run_python(purging, purging.key, "\n", tmp_path / "broken.jpg", tmp_path / "asked.jpg")
    assert ended.returncode == 0
    assert "broken.jpg was not added: " in ended.stderr


@pytest.mark.browser
def test_javascript_adds_finds_and_erases(purging: Served, make_image: Make, page: Page) -> None:
    page.goto(f"{purging.address}/docs")
    done: dict[str, Any] = page.evaluate(
        """async ([source, address, key, added, asked]) => {
            const Client = new Function(`${source}; return Client`)();
            const client = new Client(address, key);
            const blob = (bytes) => new Blob([new Uint8Array(bytes)], { type: "image/jpeg" });
            const result = await client.add({ "new.jpg": blob(added), "broken.jpg": new Blob(["no"]) });
            const found = await client.find(blob(asked), { k: 3, exclude_cameras: "roof" });
            const seen = await client.image(found.matches[0]);
            const receipt = await client.erase(found.matches.slice(0, 1), "confirmed by hand");
            const left = [];
            for await (const item of client.items()) left.push(item.id);
            const refused = await new Client(address, "vitreid_wrong").items().next().catch((error) => error.message);
            return { result, found, receipt, left, refused, seen: seen.type };
        }""",
        [program("js").replace("export ", ""), purging.address, purging.key, list(make_image(30)), list(make_image(3))],
    )
    assert [(each["source"], each["status"]) for each in done["result"]["results"]] == [
        ("new.jpg", "added"),
        ("broken.jpg", "error"),
    ]
    assert done["found"]["matches"][0]["id"] == 4
    assert done["seen"] == "image/jpeg"
    assert done["receipt"]["purged_at"]
    assert sorted(done["left"]) == [1, 2, 3, 5, 6, 7, 8, 9]
    assert done["refused"].startswith("401: ")
