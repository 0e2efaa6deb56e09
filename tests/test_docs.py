"""The documentation is true: links resolve, named files and commands exist, every command is documented."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from tests.paths import REPOSITORY
from vitreid import cli

TOP = [REPOSITORY / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")]
PAGES = sorted([*TOP, *(REPOSITORY / "docs").glob("*.md")])
README = (REPOSITORY / "README.md").read_text()
CODE_MAP = (
    (REPOSITORY / "CONTRIBUTING.md").read_text().partition("## The code")[2].partition("```")[2].partition("```")[0]
)
ALL = "\n".join(page.read_text() for page in PAGES)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def prose(text: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page, as GitHub derives them from headings."""
    headings = re.findall(r"^#+ (.*)", prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_resolve(page: Path) -> None:
    text = page.read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        linked = page.parent / file if file else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@each_page
def test_headings_have_distinct_anchors(page: Path) -> None:
    headings = re.findall(r"^#+ (.*)", prose(page.read_text()), re.MULTILINE)
    assert len(headings) == len(anchors(page))


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    folders = "bundle|scoring|synthetic|training|export|service|benchmarks|tests|docker|docs"
    for name in set(re.findall(rf"`((?:{folders})/[\w./-]*)`", prose(page.read_text()))):
        assert (REPOSITORY / name).exists(), name


@each_page
def test_every_page_is_linked_from_the_readme(page: Path) -> None:
    assert page.name == "README.md" or f"({page.relative_to(REPOSITORY)}" in README


def test_every_file_of_the_code_map_exists() -> None:
    folder = REPOSITORY
    lines = [line for line in CODE_MAP.splitlines() if line.strip()]
    assert len(lines) > 40
    for line in lines:
        name = line.split()[0]
        if not line.startswith(" "):
            folder = REPOSITORY / name
            assert folder.is_dir(), name
        else:
            assert (folder / name).exists(), f"{folder.name}/{name}"


def test_every_folder_is_in_the_code_map() -> None:
    mapped = {line.split()[0] for line in CODE_MAP.splitlines() if line.strip()}
    packages = {"vitreid", "bundle", "scoring", "synthetic", "training", "export", "service"}
    for package in packages | {"benchmarks", "tests", "docker", "docs"}:
        assert f"{package}/" in mapped
    for package in packages - {"vitreid"}:
        folders = {each.name for each in (REPOSITORY / package).iterdir() if each.is_dir()} - {"__pycache__"}
        assert {f"{name}/" for name in folders} <= mapped, package


def test_make_targets_shown_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    shown = set(re.findall(r"`make ([a-z-]+)", ALL)) | set(re.findall(r"^make ([a-z-]+)", ALL, re.MULTILINE))
    assert {"demo", "test", "check", "docs", "bench", "crash"} <= shown
    for target in shown:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


# ---- commands


def shown_commands() -> list[str]:
    """Every distinct command line of the shell blocks, with continuation lines joined."""
    blocks = re.findall(r"```sh\n(.*?)```", ALL, re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return sorted({line for line in lines if line.startswith("vitreid ")})


def mentioned_commands() -> list[str]:
    """Commands that running text mentions, such as `vitreid gallery info`."""
    return sorted(set(re.findall(r"`(vitreid [^`]*)`", " ".join(prose(ALL).split()))))


def command_of(name: str) -> Any:
    return get_command(cli.app_of(name))


def subcommands() -> Iterator[str]:
    for name in cli.COMMANDS:
        found = getattr(command_of(name), "commands", {})
        yield from (f"{name} {each}" for each in found) if found else [name]


def test_every_command_that_reports_takes_json() -> None:
    """All but those that run until they are ended; the audit log is JSON already."""
    without = {"demo", "serve", "audit"}
    for line in subcommands():
        name, *sub = line.split()
        command = command_of(name)
        command = command.commands[sub[0]] if sub else command
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--json" in options) is (line not in without), line


@pytest.mark.parametrize("line", shown_commands())
def test_shown_commands_can_be_given_like_that(line: str) -> None:
    """Parsed as they would be when run: names, options, values and what is required."""
    name, *arguments = shlex.split(line, comments=True)[1:]
    if name == "--help":
        return
    command = command_of(name)
    while hasattr(command, "commands"):
        assert arguments[0] in command.commands, line
        command, arguments = command.commands[arguments[0]], arguments[1:]
    command.make_context(line, arguments)


@pytest.mark.parametrize("text", mentioned_commands())
def test_commands_in_running_text_exist(text: str) -> None:
    name, *rest = text.split()[1:]
    if name in ("COMMAND", "--help", "..."):
        return
    command = command_of(name)
    if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        for each in rest[0].strip(",").split("|"):
            assert each in command.commands, text
    options = {option for part in _all_of(command) for option in part.opts}
    for word in rest:
        if word.startswith("-"):
            assert word.rstrip(",;") in options | {"--help"}, text


def _all_of(command: Any) -> list[Any]:
    return command.params + [part for each in getattr(command, "commands", {}).values() for part in _all_of(each)]


@pytest.mark.parametrize("name", list(subcommands()))
def test_every_command_is_documented(name: str) -> None:
    *group, last = name.split()
    words = re.findall(r"`([^`]*)`", " ".join(prose(ALL).split())) + re.findall(r"```sh\n(.*?)```", ALL, re.DOTALL)
    pattern = rf"\b{re.escape(last)}\b" if group else rf"\bvitreid {re.escape(last)}\b"
    assert any(re.search(pattern, each) for each in words), f"no page documents `vitreid {name}`"
