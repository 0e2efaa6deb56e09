"""Settings of the environment apply to every command, unknown ones are reported, and files are their owner's."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vitreid import cli

Make = Callable[..., bytes]


@pytest.fixture
def images(tmp_path: Path, make_image: Make) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for seed in range(2):
        (folder / f"000{seed}_c1s1_00000{seed}_00.jpg").write_bytes(make_image(seed))
    return folder


@pytest.fixture
def usual_rights() -> Iterator[None]:
    """The umask that most systems have, under which everybody may read what is made."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_every_command_takes_the_bundle_of_the_environment(
    tmp_path: Path,
    images: Path,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VITREID_BUNDLE", str(tiny_bundle))
    gallery, out = str(tmp_path / "data" / "galleries" / "default"), tmp_path / "out.npz"
    for arguments in (
        ["embed", str(images), "--out", str(out)],
        ["index", str(images), "--gallery", gallery],
        ["query", str(next(images.iterdir())), "--gallery", gallery],
        ["gallery", "cameras", gallery, "--map", "c1=c2"],
    ):
        assert cli.run(arguments) == 0, arguments
        assert "starter" not in capsys.readouterr().err, arguments
    assert np.load(out)["embedding"].shape == (2, 48)


def test_every_command_takes_the_limits_of_the_environment(
    tmp_path: Path,
    images: Path,
    make_image: Make,
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gallery, bundle = ["--gallery", str(tmp_path / "gallery")], ["--bundle", str(tiny_bundle)]
    assert cli.run(["index", str(images), *gallery, *bundle]) == 0
    (images / "new.png").write_bytes(make_image(9, "PNG", (9, 9)))
    monkeypatch.setenv("VITREID_MAX_PIXELS", "64")
    for arguments, code in (
        (["index", str(images), *gallery], 1),
        (["embed", str(images), "--out", str(tmp_path / "out.npz")], 1),
        (["query", str(images / "new.png"), *gallery], 2),
    ):
        assert cli.run([*arguments, *bundle]) == code
        assert "new.png: has 9 x 9 pixels; at most 64 are allowed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("VITREID_MAX_BODY", "did you mean VITREID_MAX_BODY_BYTES?"),
        ("VITREID_REQUIRE_KEY", "did you mean VITREID_REQUIRE_KEYS?"),
        ("VITREID_QQQQQQQQQQQQ", "`vitreid serve --show-config` lists the settings"),
    ],
)
def test_a_variable_that_is_no_setting_is_reported_by_every_command(
    tmp_path: Path, name: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, "1")
    commands = (["keys", "create", "a", "--scope", "read", "--data", str(tmp_path)], ["serve", "--show-config"],
                ["gallery", "list", str(tmp_path)], ["audit", "--data", str(tmp_path)])  # fmt: skip
    for arguments in commands:
        cli.run(arguments)
        assert f"vitreid: {name} is not a setting and has no effect; {message}\n" in capsys.readouterr().err, arguments


def test_variables_that_are_settings_are_not_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VITREID_PORT", "8123")
    monkeypatch.setenv("vitreid_workers", "2")
    assert cli.run(["serve", "--show-config"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("usual_rights")
def test_what_commands_make_is_readable_by_its_owner_alone(tmp_path: Path, images: Path, tiny_bundle: Path) -> None:
    made = tmp_path / "made"
    gallery, bundle = str(made / "galleries" / "default"), ["--bundle", str(tiny_bundle)]
    assert cli.run(["keys", "create", "a", "--scope", "read", "--data", str(made)]) == 0
    assert cli.run(["index", str(images), "--gallery", gallery, *bundle]) == 0
    assert cli.run(["gallery", "rebuild", gallery]) == 0
    assert cli.run(["gallery", "backup", gallery, str(made / "backup")]) == 0
    assert cli.run(["gallery", "export", gallery, str(made / "rows.csv"), "--embeddings", str(made / "rows.npz")]) == 0
    assert cli.run(["embed", str(images), "--out", str(made / "all.npz"), *bundle]) == 0
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (made, *made.rglob("*"))}
    assert len(found) > 10
    assert {path for path, mode in found.items() if mode & 0o077} == set()
    assert {"snapshot", "gallery.db", "access.db", "rows.csv"} <= {path.name.partition("-")[0] for path in found}
    (tmp_path / "after").touch()  # the process that called a command keeps its own
    assert stat.S_IMODE((tmp_path / "after").stat().st_mode) == 0o644


@pytest.mark.usefixtures("usual_rights")
def test_what_is_made_to_be_passed_on_follows_the_umask(tmp_path: Path) -> None:
    people = str(tmp_path / "people")
    drawn = ["synth", people, "--identities", "4", "--cameras", "2", "--images", "1", "--seed", "1"]
    assert cli.run(drawn) == 0
    assert {stat.S_IMODE(path.stat().st_mode) for path in Path(people).rglob("*.jpg")} == {0o644}
