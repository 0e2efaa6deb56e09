"""The documentation keeps its word: links lead somewhere, files in the tree exist, commands have their options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import reid

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted([REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")])
README = (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    targets = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'src="([^"]+)"', text)
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_every_file_of_the_tree_exists() -> None:
    tree = README.partition("## The code")[2].partition("```")[2].partition("```")[0]
    names = re.findall(r"^ {0,2}(\S+)", tree, re.MULTILINE)
    folder = REPOSITORY
    assert len(names) > 20
    for line in tree.splitlines():
        if not line.strip():
            continue
        name = line.split()[0]
        if not line.startswith(" "):
            folder = REPOSITORY / name if name.endswith("/") else REPOSITORY
            assert (REPOSITORY / name).exists(), name
        else:
            assert (folder / name).exists(), f"{folder.name}/{name}"


def test_every_package_is_in_the_tree() -> None:
    tree = README.partition("## The code")[2]
    for package in ("bundle", "scoring", "synthetic", "training", "export", "service", "benchmarks", "tests"):
        assert f"\n{package}/ " in tree


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", "".join(page.read_text() for page in PAGES), re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return sorted({line for line in lines if line.startswith("reid ")})


@pytest.mark.parametrize("line", commands())
def test_options_of_shown_commands_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line, comments=True)[1:]
    if words[0] == "--help":
        return
    count = 2 if words[0] == "export" else 1
    assert reid.run([*words[:count], "--help"]) == 0
    told = capsys.readouterr().out
    for word in words[count:]:
        if word.startswith("-"):
            assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", told), f"{word} of `{line}`"


def test_make_targets_shown_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z-]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
