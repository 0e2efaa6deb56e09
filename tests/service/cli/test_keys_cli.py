"""`vitreid keys` and `vitreid audit`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vitreid import cli
from vitreid.service.access.access import open_records, record_command
from vitreid.service.access.audit import AuditFilter, Entry
from vitreid.service.api.server.serving import NotLoopback, check_address
from vitreid.service.config import load_config


def run(*arguments: str, data: Path, expected: int = 0) -> None:
    assert cli.run([*arguments, "--data", str(data)]) == expected


def created(capsys: pytest.CaptureFixture[str], data: Path, *arguments: str) -> str:
    run("keys", "create", *arguments, data=data)
    return capsys.readouterr().out.strip()


def test_a_key_is_printed_once_and_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = created(
        capsys, tmp_path, "gate 4", "--scope", "read", "--scope", "write", "--gallery", "night", "--camera", "c1"
    )
    run("keys", "list", data=tmp_path)
    shown = capsys.readouterr().out
    assert text[8:16] in shown
    assert "gate 4" in shown
    assert text[14:] not in shown
    with open_records(tmp_path, audit_days=1) as (keys, _):
        principal = keys.authenticate(text)
    assert (principal.galleries, principal.cameras) == (frozenset({"night"}), frozenset({"c1"}))


def test_what_programs_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(created(capsys, tmp_path, "a", "--scope", "admin", "--expires-days", "3", "--json"))
    assert made["key"].startswith(f"vitreid_{made['id']}_")
    assert made["scopes"] == ["admin"]
    assert made["expires_at"] > made["created_at"]
    run("keys", "list", "--json", data=tmp_path)
    [listed] = json.loads(capsys.readouterr().out)
    assert listed == {name: value for name, value in made.items() if name != "key"}
    run("keys", "revoke", made["id"], "--json", data=tmp_path)
    assert json.loads(capsys.readouterr().out)["revoked_at"] > made["created_at"]


def test_states_are_shown_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    created(capsys, tmp_path, "[bold]everlasting", "--scope", "read")
    created(capsys, tmp_path, "later", "--scope", "read", "--expires-days", "9")
    run("keys", "revoke", created(capsys, tmp_path, "gone", "--scope", "read")[8:16], data=tmp_path)
    capsys.readouterr()
    run("keys", "list", data=tmp_path)
    shown = capsys.readouterr().out
    for word in ("[bold]everlasting", "valid until", "revoked"):
        assert word in " ".join(shown.split()), word


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("keys", "create", "a", "--scope", "all"), "admin, read, write"),
        (("keys", "create", "", "--scope", "read"), "1 to 64 printable characters"),
        (("keys", "create", "a"), "--scope"),
        (("keys", "revoke", "abcdefgh"), "vitreid keys list"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    created(capsys, tmp_path, "first", "--scope", "read")
    run(*arguments, data=tmp_path, expected=2)
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


@pytest.mark.parametrize("arguments", [("keys", "list"), ("keys", "revoke", "abcdefgh"), ("audit",)])
def test_another_folder_is_no_data_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    run(*arguments, data=tmp_path / "elsewhere", expected=2)
    assert "--data" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_the_log_names_what_commands_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key_id = created(capsys, tmp_path, "a", "--scope", "read")[8:16]
    run("keys", "revoke", key_id, data=tmp_path)
    gallery = tmp_path / "galleries" / "default"
    record_command(gallery, Entry("erase", gallery="default", items=[1]), audit_days=365)
    capsys.readouterr()
    run("audit", data=tmp_path)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["action"], line["key_id"], line["items"]) for line in lines] == [
        ("key-create", key_id, []), ("key-revoke", key_id, []), ("erase", None, [1]),
    ]  # fmt: skip
    assert {line["name"] for line in lines} == {"command line"}
    run("audit", "--action", "erase", "--since", "2000-01-01T00:00:00Z", data=tmp_path)
    assert json.loads(capsys.readouterr().out)["id"] == 3
    with open_records(tmp_path, audit_days=365) as (_, log):
        assert [row.action for row in log.every(AuditFilter())][3:] == ["audit", "audit"]


def test_a_gallery_without_a_service_has_no_log(tmp_path: Path) -> None:
    record_command(tmp_path / "galleries" / "default", Entry("erase"), audit_days=365)
    assert list(tmp_path.iterdir()) == []


def test_other_machines_are_let_in_once_there_is_a_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_config(host="0.0.0.0", data=tmp_path)
    with pytest.raises(NotLoopback, match=f"vitreid keys create NAME --scope read --data {tmp_path}"):
        check_address(config)
    assert list(tmp_path.iterdir()) == []
    check_address(load_config(host="0.0.0.0", data=tmp_path, insecure=True))
    check_address(load_config(host="127.0.0.1", data=tmp_path))
    text = created(capsys, tmp_path, "a", "--scope", "read")
    check_address(config)
    run("keys", "revoke", text[8:16], data=tmp_path)
    check_address(config)  # still asked for: nobody gets in
