"""`vitreid gallery` as a user types it: output, exit codes, one line for a mistake, and interruption."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import save_tiny_model
from vitreid import cli
from vitreid.bundle import Bundle, ImageSpec, OutputSpec
from vitreid.service.access.access import open_records
from vitreid.service.access.audit import AuditFilter
from vitreid.service.gallery import Gallery
from vitreid.service.gallery.lock import MaintenanceLock
from vitreid.service.gallery.maintenance import export
from vitreid.service.gallery.snapshots.snapshot import snapshots
from vitreid.service.intake.labels import read_table

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run_(*arguments: Any) -> tuple[int, str, str]:
        capsys.readouterr()  # of commands that were run otherwise
        code = cli.run(["gallery", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run_


@pytest.fixture
def answer(run: Run) -> Callable[..., Any]:
    """The JSON that a command prints."""

    def answer_(*arguments: Any) -> Any:
        code, out, err = run(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return answer_


@pytest.fixture
def folder(tmp_path: Path, tiny_bundle: Path, make_image: Callable[..., bytes]) -> Path:
    """A service's default gallery with twelve images of three persons."""
    images = tmp_path / "images"
    images.mkdir()
    for seed in range(12):
        (images / f"{seed // 4 + 1:04d}_c{seed % 3}s1_{seed:06d}_00.jpg").write_bytes(make_image(seed))
    made = tmp_path / "data" / "galleries" / "default"
    assert cli.run(["index", str(images), "--gallery", str(made), "--bundle", str(tiny_bundle)]) == 0
    return made


@pytest.fixture
def new_bundle(tmp_path: Path) -> Path:
    save_tiny_model(tmp_path / "model.onnx", seed=1, dimension=24)
    image, output = ImageSpec(height=64, width=32), OutputSpec(dimension=24)
    Bundle.save(tmp_path / "new", tmp_path / "model.onnx", name="new", image=image, output=output, cameras=("n1", "n2"))
    return tmp_path / "new"


def test_the_galleries_of_a_service_are_listed(run: Run, answer: Callable[..., Any], folder: Path) -> None:
    broken = folder.with_name("broken")
    broken.mkdir()
    (broken / "gallery.db").write_text("not a database\n" * 500)
    first, second = answer("list", folder.parent.parent)
    assert (first["name"], "is not a database" in first["problem"]) == ("broken", True)
    assert (second["name"], second["items"], second["problem"]) == ("default", 12, None)
    code, out, _ = run("list", folder.parent.parent)
    assert (code, "default" in out, "broken" in out) == (0, True, True)
    code, _, err = run("list", folder / "nothing")
    assert (code, err.count("\n")) == (2, 1)


def test_info_tells_settings_models_and_backups(run: Run, answer: Callable[..., Any], folder: Path) -> None:
    kept = folder.parent.parent.parent / "kept"
    answer("backup", folder, kept)
    found = answer("info", folder)
    assert (found["info"]["items"], found["info"]["persons"]) == (12, 3)
    assert found["settings"]["retention_days"] is None
    assert [each["state"] for each in found["generations"]] == ["live"]
    assert [each["place"] for each in found["backups"]] == [str(kept)]
    assert found["purged"] is True
    code, out, _ = run("info", folder)
    assert code == 0
    for words in ("12 with 12 images", "generation 1", str(kept), "purged from all files", "setting store_images"):
        assert words in out


@pytest.mark.parametrize("command", ["info", "verify", "rebuild"])
def test_where_there_is_no_gallery(run: Run, command: str, tmp_path: Path) -> None:
    code, out, err = run(command, tmp_path / "nothing")
    assert (code, out) == (2, "")
    assert err.startswith("vitreid: ")
    assert err.count("\n") == 1
    assert "vitreid index" in err


def test_verify_finds_nothing_then_something(run: Run, answer: Callable[..., Any], folder: Path) -> None:
    found = answer("verify", folder, "--images")
    assert found["counts"] == {"items": 12, "embeddings": 12, "images": 12, "snapshots": 0}
    assert (found["findings"], found["recall"]) == ([], 1.0)
    with Gallery.open_existing(folder) as gallery, gallery._store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE embeddings_1 SET checksum = 1 WHERE item_id = 7")
    code, out, _ = run("verify", folder)
    assert code == 1
    assert "item 7: its embedding of generation 1 does not match its checksum" in out
    assert "1 findings" in out


def test_rebuild_writes_a_snapshot_unless_locked(run: Run, answer: Callable[..., Any], folder: Path) -> None:
    assert answer("rebuild", folder)["items"] == 12
    assert len(snapshots(folder)) == 1
    assert answer("rebuild", folder, "--index", "exact")["index"] == "exact"
    lock = MaintenanceLock.acquire(folder, "vitreid serve")
    code, _, err = run("rebuild", folder)
    assert (code, "vitreid serve" in err, err.count("\n")) == (2, True, 1)
    lock.release()
    code, _, err = run("rebuild", folder, "--index", "best")
    assert (code, "'best'" in err) == (2, True)


def test_a_backup_there_and_back(run: Run, answer: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    made = answer("backup", folder, tmp_path / "kept")
    assert made["items"] == 12
    receipt = answer("erase", folder, "--person", "0002", "--yes")
    assert [each["id"] for each in receipt["remaining"]] == [made["id"]]
    code, _, err = run("restore", tmp_path / "kept", folder)
    assert (code, "--replace" in err) == (2, True)
    restored = answer("restore", tmp_path / "kept", folder, "--replace")
    assert (restored["items"], restored["erased_again"]) == (8, 4)
    assert answer("restore", tmp_path / "kept", tmp_path / "other")["items"] == 12
    code, out, _ = run("drop-backup", folder, made["id"])
    assert (code, "is gone" in out, (tmp_path / "kept").exists()) == (0, True, False)
    with Gallery.open_existing(folder) as gallery:
        assert gallery.receipt(receipt["id"]).remaining == ()
    code, _, err = run("restore", tmp_path / "kept", folder, "--replace")
    assert (code, err.count("\n")) == (2, 1)


def test_erasing_asks_first(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., Any]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda question, **_: asked.append(question) or False)
    code, _, err = run("erase", folder, "--item", 3, "--item", 4, "--item", 99, "--person", "0002")
    assert (code, err) == (1, "vitreid: nothing was erased\n")
    assert "Erase 6 of the 12 items" in asked[0]
    assert answer("info", folder)["info"]["items"] == 12
    code, out, _ = run("erase", folder, "--item", 3, "--reason", "asked for", "--yes")
    assert code == 0
    assert "erased 1 items with 1 images" in out
    assert "purged from all files" in out
    assert answer("info", folder)["info"]["items"] == 11


def test_erasing_without_a_terminal_needs_yes(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    code, _, err = run("erase", folder, "--item", 3)
    assert code == 2
    assert err.splitlines()[-1].endswith("nobody can confirm without a terminal; give --yes (nothing was erased)")
    with Gallery.open_existing(folder) as gallery:
        assert len(gallery) == 12


def test_what_cannot_be_erased_is_reported(run: Run, folder: Path) -> None:
    for arguments, words in (
        ((), "--item ID or --person LABEL"),
        (("--person", "nobody"), "'nobody'"),
        (("--item", 99), "none of the 1 items"),
        *((("--item", given), "not an item's id") for given in ("1_0", "1.0", " 1", "+1", "٣", "0", "9" * 19)),
    ):
        code, _, err = run("erase", folder, *arguments, "--yes")
        assert (code, words in err, err.count("\n")) == (2, True, 1)


def test_a_service_that_locks_the_gallery_purges_what_a_command_erased(run: Run, folder: Path) -> None:
    lock = MaintenanceLock.acquire(folder, "vitreid serve")
    code, out, _ = run("erase", folder, "--item", 3, "--yes")
    lock.release()
    assert code == 0
    assert "not purged from the files yet" in out
    code, _, _ = run("rebuild", folder)
    with Gallery.open_existing(folder) as gallery:
        assert gallery.receipts()[0].purged_at is not None


def test_erased_items_leave_the_snapshot_of_an_unlocked_gallery(run: Run, folder: Path) -> None:
    run("rebuild", folder)
    [before] = snapshots(folder)
    assert run("erase", folder, "--item", 3, "--yes")[0] == 0
    [after] = snapshots(folder)
    assert before != after


def test_another_model(run: Run, answer: Callable[..., Any], folder: Path, new_bundle: Path, tiny_bundle: Path) -> None:
    done = answer("reembed", folder, "--bundle", new_bundle, "--batch-size", 5)
    assert (done["generation"], done["previous"], done["items"], done["dimension"]) == (2, 1, 12, 24)
    code = cli.run(["query", str(folder.parents[2] / "images"), "--gallery", str(folder), "--bundle", str(tiny_bundle)])
    assert code == 2
    assert answer("verify", folder)["counts"]["embeddings"] == 24
    code, _, err = run("drop-generation", folder, 2)
    assert (code, "is in use" in err) == (2, True)
    code, out, _ = run("drop-generation", folder, 1)
    assert (code, out) == (0, "generation 1 is gone\n")
    code, _, err = run("reembed", folder, "--bundle", new_bundle)
    assert (code, "already" in err) == (2, True)
    with Gallery.open_existing(folder) as gallery:
        assert gallery.bundle_id == Bundle.open(new_bundle).manifest.bundle_id


def test_items_without_images_stop_another_model(run: Run, folder: Path, new_bundle: Path) -> None:
    with Gallery.open_existing(folder) as gallery, gallery._store.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM images WHERE item_id < 3")
    code, _, err = run("reembed", folder, "--bundle", new_bundle)
    assert (code, "2 items have no image" in err, "(1, 2)" in err) == (2, True, True)
    code, out, _ = run("reembed", folder, "--bundle", new_bundle, "--drop-without-image")
    assert (code, "2 without an image were deleted" in out) == (0, True)


INTERRUPTED = """
import os, signal, sys
from vitreid import cli
from vitreid.service.gallery.maintenance import reembedding

embed, calls = reembedding._embed, []

def interrupted(*given):
    calls.append(None)
    if len(calls) == 3:
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    return embed(*given)

reembedding._embed = interrupted
sys.exit(cli.run(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [("SIGINT", 130), ("SIGKILL", -signal.SIGKILL)])
def test_reembedding_is_ended_and_goes_on(
    sent: str, code: int, answer: Callable[..., Any], folder: Path, new_bundle: Path
) -> None:
    arguments = ["gallery", "reembed", str(folder), "--bundle", str(new_bundle), "--batch-size", "4", "--threads", "1"]
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, sent, *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == code
    assert sent == "SIGKILL" or "run the same command again to resume" in ended.stderr
    states = {each["id"]: each["state"] for each in answer("info", folder)["generations"]}
    assert states == {1: "live", 2: "making"}
    assert answer("verify", folder)["counts"]["embeddings"] == 12 + 8
    assert answer(*arguments[1:])["items"] == 12
    assert answer("verify", folder)["findings"] == []


def test_items_are_exported_as_json_lines(answer: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    out, arrays = tmp_path / "items.jsonl", tmp_path / "items.npz"
    assert answer("export", folder, out, "--embeddings", arrays) == {"out": str(out), "items": 12}
    items = [json.loads(line) for line in out.read_text().splitlines()]
    with Gallery.open_existing(folder) as gallery, np.load(arrays, allow_pickle=False) as found:
        expected = gallery.items(limit=100)
        assert [item["id"] for item in items] == found["id"].tolist() == [item.id for item in expected]
        np.testing.assert_array_equal(found["embedding"], gallery.embeddings(found["id"].tolist()))
    for item, true in zip(items, expected, strict=True):
        assert (item["person_id"], item["camera_id"], item["image_hash"]) == (
            true.person_id,
            true.camera_id,
            true.image_hash,
        )
        assert item["created_at"] == true.created_at.isoformat()
        assert set(item) == set(export.FIELDS)


def test_items_are_exported_as_csv(answer: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    with Gallery.open_existing(folder) as gallery:
        gallery.update(3, {"metadata": {"note": 'a "quoted", ä\nline'}, "person_id": None})
    answer("export", folder, tmp_path / "items.csv")
    with (tmp_path / "items.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["id"]) for row in rows] == list(range(1, 13))
    assert json.loads(rows[2]["metadata"]) == {"note": 'a "quoted", ä\nline'}
    assert rows[2]["person_id"] == ""


FORMULAS = ['=HYPERLINK("http://evil","x")', "+1", "-2", "@a", "'=1", "''", "'tis", "5 - 3"]


def test_no_escape_cell_an_export_is_a_formula_and_all_are_read_again(
    answer: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    with Gallery.open_existing(folder) as gallery:
        for item_id, text in enumerate(FORMULAS, start=1):
            gallery.update(item_id, {"camera_id": text, "person_id": text, "track_id": text})
    answer("export", folder, tmp_path / "items.csv")
    with (tmp_path / "items.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))] == []
    labels = [
        {"path": row["id"], **{name: row[name] for name in ("camera_id", "person_id", "track_id")}} for row in rows
    ]
    with (tmp_path / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(labels[0]))
        writer.writeheader()
        writer.writerows(labels)
    table = read_table(tmp_path / "labels.csv", [row["id"] for row in rows])
    found = [table[str(item_id)] for item_id in range(1, len(FORMULAS) + 1)]
    assert [each.person_id for each in found] == [each.camera_id for each in found] == FORMULAS
    assert [each.track_id for each in found] == FORMULAS


def test_an_export_that_fails_leaves_nothing(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for out, words in (("items.xml", "items.xml has an unknown ending"), ("no/items.csv", "cannot be written")):
        code, _, err = run("export", folder, tmp_path / out)
        assert (code, words in err, err.count("\n")) == (2, True, 1)
    (tmp_path / "items.csv").write_text("older")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    code, _, err = run("export", folder, tmp_path / "items.csv")
    assert (code, "No space left" in err) == (2, True)
    assert (tmp_path / "items.csv").read_text() == "older"
    assert not list(tmp_path.glob(".items*"))


def test_items_that_go_during_an_export_are_in_neither_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "ROWS_AT_ONCE", 5)
    with Gallery.open_existing(folder) as gallery:
        of = gallery._store.embeddings_of

        def after_a_deletion(ids: list[int]) -> object:
            if 7 in ids:
                gallery.delete(7)
            return of(ids)

        monkeypatch.setattr(gallery._store, "embeddings_of", after_a_deletion)
        done = export.export_items(gallery, tmp_path / "a.jsonl", embeddings=tmp_path / "a.npz")
        assert done.items == 11
        ids = [json.loads(line)["id"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
        with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
            assert found["id"].tolist() == ids == [*range(1, 7), *range(8, 13)]
            np.testing.assert_array_equal(found["embedding"], gallery.embeddings(ids))


def test_an_empty_gallery_can_be_exported(tmp_path: Path) -> None:
    with Gallery.open(tmp_path / "gallery", bundle_id="a" * 64, dimension=4) as gallery:
        done = export.export_items(gallery, tmp_path / "a.jsonl", embeddings=tmp_path / "a.npz")
    assert done.items == 0
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert found["embedding"].shape == (0, 4)


def test_cameras_are_mapped_by_the_operator(
    run: Run, answer: Callable[..., Any], folder: Path, tiny_bundle: Path
) -> None:
    printed = answer("cameras", folder, "--bundle", tiny_bundle)
    assert [(each["camera_id"], each["learned"], each["items"]) for each in printed] == [
        ("c0", None, 4),
        ("c1", None, 4),
        ("c2", None, 4),
    ]
    printed = answer("cameras", folder, "--bundle", tiny_bundle, "--map", "c0=c2", "--map", "c1=c1")
    assert [(each["learned"], each["stale"]) for each in printed] == [("c2", 4), ("c1", 4), (None, 0)]
    code, _, err = run("cameras", folder, "--bundle", tiny_bundle, "--map", "c0=c9")
    assert (code, "unknown learned camera 'c9'" in err) == (2, True)
    code, _, err = run("cameras", folder, "--bundle", tiny_bundle, "--map", "c0")
    assert (code, "is not CAMERA=MODEL_CAMERA" in err) == (2, True)


def test_what_commands_do_is_in_the_service_s_log(run: Run, folder: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    data = folder.parent.parent
    assert cli.run(["keys", "create", "somebody", "--scope", "read", "--data", str(data)]) == 0
    known = ["--gallery", str(folder), "--bundle", str(tiny_bundle)]
    queried = tmp_path / "images" / "0001_c0s1_000000_00.jpg"
    assert cli.run(["query", str(queried), *known, "-k", "1"]) == 0
    (tmp_path / "more").mkdir()
    Image.new("RGB", (32, 64), "red").save(tmp_path / "more" / "new.png")
    assert cli.run(["index", str(tmp_path / "more"), *known]) == 0
    assert cli.run(["index", str(tmp_path / "more"), *known]) == 0  # adds nothing, leaves no row
    assert run("erase", folder, "--item", 3, "--yes")[0] == 0
    assert run("export", folder, tmp_path / "items.jsonl")[0] == 0
    assert run("backup", folder, tmp_path / "backup")[0] == 0
    assert run("cameras", folder, "--bundle", tiny_bundle, "--map", "c1=c1")[0] == 0
    with open_records(data, audit_days=1) as (_, audit):
        rows = [(row.action, row.gallery, row.items) for row in audit.page(AuditFilter())]
    assert rows == [
        ("key-create", None, []),
        ("query", "default", [1]),
        ("add", "default", []),
        ("erase", "default", [3]),
        ("export", "default", []),
        ("backup", "default", []),
        ("camera-mapping", "default", []),
    ]
