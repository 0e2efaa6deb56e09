"""Tables and examples of the documentation are those of the code: settings, metrics, routes, problems, formats."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.paths import REPOSITORY
from vitreid import service
from vitreid.bundle import Bundle, Calibration
from vitreid.bundle.calibration import (
    CalibrationData,
    Estimate,
    HeldOut,
    PairNumbers,
    ReliabilityBin,
    Threshold,
    Thresholds,
)
from vitreid.service.access import audit
from vitreid.service.access import database as access
from vitreid.service.api.app import create_app
from vitreid.service.api.authorization import authorization_of
from vitreid.service.api.schemas.erasures import ReceiptBody
from vitreid.service.api.state import open_service
from vitreid.service.config import PREFIX, ServiceConfig
from vitreid.service.errors import ServiceError
from vitreid.service.gallery import GallerySettings, Quality
from vitreid.service.gallery.items import QUALITIES
from vitreid.service.gallery.maintenance.backup import BackupManifest
from vitreid.service.gallery.maintenance.export import FIELDS
from vitreid.service.gallery.rows import tables
from vitreid.service.gallery.snapshots.snapshot import SnapshotManifest
from vitreid.service.intake.box_files import read_boxes
from vitreid.service.intake.boxes import BoxSource
from vitreid.training.config import AugmentConfig, DataConfig, JPMConfig, ModelConfig, OptimConfig, TrainConfig
from vitreid.training.datasets import DATASETS
from vitreid.training.evaluation.report import PARTS, TEXTS
from vitreid.training.losses import all_losses

DOCS = REPOSITORY / "docs"
LOSSES = all_losses()
PAGES = {page.name: page.read_text() for page in [*DOCS.glob("*.md"), *REPOSITORY.glob("*.md")]}
OPERATIONS, FORMATS, EXTENDING, CONTRIBUTING = (
    PAGES[f"{name}.md"] for name in ("operations", "formats", "extending", "CONTRIBUTING")
)
# The type stands in no answer: only commands meet these, and print their message.
COMMANDS_ONLY = {
    "access-error", "backup-damaged", "backup-not-found", "bad-setting", "bundle-needed", "cannot-write", "demo",
    "folder-not-found", "gallery-error", "gallery-exists", "generation-not-found", "indexing-error", "key-not-found",
    "key-required", "no-images", "not-loopback", "port-in-use", "starter-missing", "table-error", "unavailable",
}  # fmt: skip
NOT_IN_THE_TREE = {
    "bundle": 503,
    "internal-error": 500,
    "invalid-request": 422,
    "method-not-allowed": 405,
    "not-found": 404,
}


CLIENT = {"VITREID_ADDRESS", "VITREID_KEY"}
"""Variables of the example of a client in docs/clients.md."""


def section(page: str, heading: str) -> str:
    """Return the text under a heading of the second level."""
    return page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def cells(text: str) -> list[list[str]]:
    """The rows of all tables in a text."""
    rows = [line.strip("|").split("|") for line in text.replace("\\|", "¦").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


def names(text: str) -> set[str]:
    """Everything that stands as code."""
    return set(re.findall(r"`([^`]*)`", text))


def problems() -> Iterator[type[ServiceError]]:
    for module in pkgutil.walk_packages(service.__path__, "vitreid.service."):
        importlib.import_module(module.name)
    left = [ServiceError]
    while left:
        found = left.pop().__subclasses__()
        left += found
        yield from found


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ServiceConfig.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    defaults = ServiceConfig().model_dump(mode="json")
    expected = [
        [f"`{PREFIX}{name.upper()}`", "" if defaults[name] in (None, "") else f"`{defaults[name]}`", field.description]
        for name, field in ServiceConfig.model_fields.items()
    ]
    assert [row for row in cells(section(OPERATIONS, "Settings")) if row[0].startswith("`VITREID")] == expected


@pytest.mark.parametrize("name", sorted(PAGES))
def test_variables_that_are_named_exist(name: str) -> None:
    settings = {PREFIX + name.upper() for name in ServiceConfig.model_fields}
    assert set(re.findall(r"\bVITREID_[A-Z_]+[A-Z]", PAGES[name])) <= settings | CLIENT


def test_metrics(tmp_path: Path, tiny_bundle: Path) -> None:
    config = ServiceConfig(data=tmp_path, bundle=tiny_bundle, runtime="fake")
    with open_service(config) as opened:
        found = {
            family.name + ("_total" if family.type == "counter" else "") for family in opened.metrics.registry.collect()
        }
    documented = [row for row in cells(section(OPERATIONS, "Metrics and alerts")) if row[0].startswith("`vitreid_")]
    assert {row[0].strip("`") for row in documented} == found
    assert len(documented) == len(found)


def test_labels_of_metrics(tmp_path: Path, tiny_bundle: Path) -> None:
    with open_service(ServiceConfig(data=tmp_path, bundle=tiny_bundle, runtime="fake")) as opened:
        metrics = opened.metrics
        metrics.request("/v1/query", "POST", 200, 0.1)
        metrics.stage("run", 1.0)
        metrics.rejected("bad-image")
        metrics.best_match("default", None, 0.5)
        found = {
            family.name + ("_total" if family.type == "counter" else ""): set(sample.labels) - {"le"}
            for family in metrics.registry.collect()
            for sample in family.samples
        }
    for name, labels, _ in (
        row for row in cells(section(OPERATIONS, "Metrics and alerts")) if row[0].startswith("`vitreid_")
    ):
        told = {label.strip() for label in labels.split(",")} - {""}
        assert found.get(name.strip("`"), told) == told, name


def test_metrics_in_rules_exist() -> None:
    documented = {row[0].strip("`") for row in cells(OPERATIONS) if row[0].startswith("`vitreid_")}
    rules = re.findall(r"expr: (.*)", OPERATIONS)
    assert len(rules) >= 8
    for rule in rules:
        used = {name.removesuffix("_bucket") for name in re.findall(r"\bvitreid_\w+", rule)}
        assert used <= documented, rule


def test_problems() -> None:
    expected = {each.slug: int(each.status) for each in problems() if each.slug not in COMMANDS_ONLY} | NOT_IN_THE_TREE
    rows = [row for row in cells(section(OPERATIONS, "Problem types")) if row[0].startswith("`")]
    assert {slug: int(row[1]) for row in rows for slug in names(row[0])} == expected
    assert {each.slug for each in problems()} >= COMMANDS_ONLY


def test_routes_that_are_named_exist() -> None:
    paths = create_app(ServiceConfig()).openapi()["paths"]
    known = {re.sub(r"{\w+}", "{}", path): set(methods) for path, methods in paths.items()}
    for name, page in PAGES.items():
        for methods, path in re.findall(r"((?:(?:GET|POST|PUT|PATCH|DELETE)(?:`, `|, | or )?)+) (/v1/[\w{}/]+)", page):
            shape = re.sub(r"{\w+}", "{}", path)
            assert shape in known, f"{name}: {path}"
            assert {each.lower() for each in re.findall(r"[A-Z]+", methods)} <= known[shape], (
                f"{name}: {methods} {path}"
            )


def test_every_route_is_in_the_page_about_the_service() -> None:
    for path in create_app(ServiceConfig()).openapi()["paths"]:
        assert re.search(rf"[` ]{re.escape(path)}`", PAGES["service.md"]), path


def test_settings_of_a_gallery() -> None:
    rows = cells(section(OPERATIONS, "Galleries and their settings"))
    assert {row[0].strip("`") for row in rows if row[0].startswith("`")} == set(GallerySettings.model_fields)
    [body] = re.findall(r"-d '({.*})'", section(OPERATIONS, "Galleries and their settings"))
    GallerySettings.model_validate_json(body)


def test_fields_of_a_receipt() -> None:
    documented = names(section(OPERATIONS, "Erasure and retention").partition("| field |")[2].partition("\n\n")[0])
    assert {"unsearchable_at", "purged_at", "remaining", "reason", "requested_by"} <= documented
    assert documented & set(ReceiptBody.model_fields) >= {"items", "images", "item_ids"}


@pytest.mark.parametrize(
    "table", [*tables.metadata.sorted_tables, *access.metadata.sorted_tables], ids=lambda t: t.name
)
def test_tables_of_databases(table) -> None:
    databases = section(FORMATS, "Gallery") + section(FORMATS, "Keys and audit log")
    row = next(row for row in cells(databases) if row[0] == f"`{table.name}`" and len(row) == 2)
    documented = names(row[1])
    omitted = {"id"} if table.name in ("gallery", "access") else set()  # always 1
    assert {column.name for column in table.columns} - omitted <= documented, table.name


@pytest.mark.parametrize("manifest", [BackupManifest, SnapshotManifest])
def test_manifests(manifest) -> None:
    row = next(
        row[1]
        for row in cells(FORMATS)
        if row[0] == "`manifest.json`" and set(manifest.model_fields) <= names(row[1]) | {"files"}
    )
    assert "`checksum`" in row


def test_fields_of_a_calibration() -> None:
    documented = section(FORMATS, "Bundle").partition("\n`calibration`, made by")[2]
    assert {row[0].strip("`") for row in cells(documented)[2:] if "`, `" not in row[0]} | {
        "created_at",
        "method",
    } == set(Calibration.model_fields)
    parts = (PairNumbers, Estimate, Threshold, Thresholds, ReliabilityBin, HeldOut, CalibrationData)
    assert {name for part in parts for name in part.model_fields} <= names(documented)


def test_qualities_and_exports() -> None:
    assert names("".join(row[0] for row in cells(section(FORMATS, "Quality")))) == set(QUALITIES)
    assert set(QUALITIES) - {"aspect"} == set(Quality.__dataclass_fields__)
    assert set(FIELDS) <= names(section(FORMATS, "Exports"))


def test_actions_of_the_audit_log() -> None:
    app = create_app(ServiceConfig())
    of_routes = {guard.action for route in app.state.api_routes if (guard := authorization_of(route))} - {None}
    commands = Path(service.__path__[0]) / "cli"
    code = "".join(file.read_text() for file in commands.glob("*.py"))
    of_commands = set(re.findall(r'(?:Entry\(|record\([\w()]+, gallery, )"([a-z-]+)"', code))
    documented = {name for row in cells(section(FORMATS, "Keys and audit log")) for name in names(row[0])}
    assert of_routes | of_commands | {audit.OTHER} <= documented
    assert {"key-create", "backup"} <= of_commands


def test_a_row_of_the_audit_log() -> None:
    [block] = re.findall(r"```json\n(.*?)```", section(FORMATS, "Keys and audit log"), re.DOTALL)
    assert set(json.loads(block)) == {column.name for column in access.audit.columns}


def test_files_of_boxes_are_read_as_they_are_shown(tmp_path: Path) -> None:
    blocks = re.findall(r"```(csv|json)\n(.*?)```", section(FORMATS, "Persons' boxes in frames"), re.DOTALL)
    assert len(blocks) == 3
    found = []
    for place, (kind, text) in enumerate(blocks):
        file = tmp_path / f"{place}.{kind if kind == 'json' else 'txt'}"
        file.write_text(text)
        found.append(read_boxes(BoxSource(file), {"cam1/000001.jpg"})["cam1/000001.jpg"])
    assert [each[0].box for each in found] == [(12, 8, 76, 200)] * 3
    assert [each[0].label.track_id for each in found] == ["t1", "t1", "1"]
    assert len(found[1]) == 2


def test_data_sets() -> None:
    assert set(DATASETS) <= names(section(FORMATS, "Data sets"))


def test_manifest_of_a_bundle(tiny_bundle: Path) -> None:
    assert set(type(Bundle.open(tiny_bundle).manifest).model_fields) <= names(section(FORMATS, "Bundle"))


@pytest.mark.parametrize(
    "table", [EXTENDING, section(CONTRIBUTING, "Adding things")], ids=["extending", "contributing"]
)
def test_registries_in_the_tables_about_adding_exist(table: str) -> None:
    rows = cells(table)[2:]
    assert len(rows) >= 10
    for row in rows:
        files = [REPOSITORY / each for each in names(" ".join(row[1:3])) if "/" in each]
        texts = [path.read_text() for file in files for path in ([file] if file.is_file() else file.glob("*.py"))]
        for name in re.findall(r"`([A-Z_]{4,})`", row[2]):
            assert any(re.search(rf"^{name}\b", text, re.MULTILINE) for text in texts), name


def test_statuses_in_the_page_about_operations_are_known() -> None:
    for row in cells(section(OPERATIONS, "Problem types")):
        assert not row[1].isdigit() or HTTPStatus(int(row[1]))


def test_recipe_keys() -> None:
    text = section(FORMATS, "Recipe")
    shown = {name.rpartition(".")[2] for name in names(text)}
    for part in (TrainConfig, ModelConfig, DataConfig, AugmentConfig, OptimConfig, JPMConfig):
        assert set(part.model_fields) - {"model", "data", "augment", "optim", "losses"} <= shown, part


def test_losses() -> None:
    rows = {
        row[0].strip("`"): names(row[1]) for row in cells(section(FORMATS, "Recipe").partition("\n### Losses\n")[2])
    }
    assert {name for name in rows if name in LOSSES} == set(LOSSES)
    for name, loss in LOSSES.items():
        options = {key for key, value in inspect.signature(loss).parameters.items() if value.kind is value.KEYWORD_ONLY}
        assert options <= rows[name], name
        assert {word for word in rows[name] if word in OPTIONS} <= options, name


OPTIONS = {key for loss in LOSSES.values() for key in inspect.signature(loss).parameters} - {"batch"}


def test_scores() -> None:
    rows = cells(section(FORMATS, "Scores"))
    assert [row[1].strip("`") for row in rows[2:]] == [*TEXTS]
    assert TEXTS.keys() - PARTS.keys() == {"comparison"}
