"""Keys: what is stored of them, who is let in, and what another process sees."""

from __future__ import annotations

import hmac
import re
import sqlite3
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from vitreid.service.access.database import FILE, AccessDatabase
from vitreid.service.access.errors import AccessUnusable, KeyNotFound, Unauthorized
from vitreid.service.access.keys import KeyStore
from vitreid.service.access.principal import HOLDS, Principal
from vitreid.service.errors import BadParameter


@pytest.fixture
def keys(database: AccessDatabase, clock: Any) -> KeyStore:
    return KeyStore(database, clock)


def test_a_key_is_its_holder(keys: KeyStore) -> None:
    key, text = keys.create("gate 4", ["write"], galleries=["night"], cameras=["c2", "c1"])
    assert re.fullmatch(rf"vitreid_{key.id}_[A-Za-z0-9_-]{{43}}", text)
    principal = keys.authenticate(text)
    assert principal == Principal(
        key.id, "gate 4", frozenset({"read", "write"}), frozenset({"night"}), frozenset({"c1", "c2"})
    )
    assert keys.list() == [key]


def test_scopes_hold_those_before_them() -> None:
    assert {scope: sorted(held) for scope, held in HOLDS.items()} == {
        "read": ["read"], "write": ["read", "write"], "admin": ["admin", "read", "write"]
    }  # fmt: skip


def test_no_secret_is_in_any_file(keys: KeyStore, database: AccessDatabase) -> None:
    texts = [keys.create(f"key {number}", ["read"])[1] for number in range(20)]
    keys.revoke(texts[0][8:16])
    files = sorted(database.path.parent.iterdir())
    assert database.path in files
    for file in files:
        content = file.read_bytes()
        for text in texts:
            secret = text.split("_", 2)[2]
            assert secret.encode() not in content, file
            assert secret.encode().hex().encode() not in content, file
    assert texts[0][8:16].encode() in b"".join(
        file.read_bytes() for file in files
    )  # the search does find what is there


def test_only_the_owner_may_read_the_files(keys: KeyStore, database: AccessDatabase) -> None:
    keys.create("a", ["read"])
    for file in database.path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


@pytest.mark.parametrize(
    "text", ["", "vitreid", "vitreid_abcdefgh_", "Bearer x", "vitreid_ABCDEFGH_" + "a" * 43, "é" * 57]
)
def test_what_is_no_key_is_refused(keys: KeyStore, text: str) -> None:
    keys.create("a", ["admin"])
    with pytest.raises(Unauthorized):
        keys.authenticate(text)


def test_another_secret_and_an_unknown_id_are_refused_in_the_same_words(keys: KeyStore) -> None:
    key, text = keys.create("a", ["admin"])
    refusals = set()
    for wrong in (text[:-1] + ("a" if text[-1] != "a" else "b"), text.replace(key.id, "aaaaaaaa"), "vitreid_x"):
        with pytest.raises(Unauthorized) as caught:
            keys.authenticate(wrong)
        refusals.add(str(caught.value))
    assert len(refusals) == 1


def test_secrets_are_compared_in_constant_time_also_without_a_key(
    keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, text = keys.create("a", ["read"])
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    keys.authenticate(text)
    with pytest.raises(Unauthorized):
        keys.authenticate(text.replace(key.id, "aaaaaaaa"))
    assert len(compared) == 2
    assert {len(each) for pair in compared for each in pair} == {64}


def test_an_unknown_id_is_refused_even_where_the_comparison_holds(
    keys: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: True)
    with pytest.raises(Unauthorized):
        keys.authenticate("vitreid_aaaaaaaa_" + "a" * 43)


def test_a_revoked_key_is_refused_and_stays_in_the_list(keys: KeyStore, clock: Any) -> None:
    key, text = keys.create("a", ["read"])
    clock.move(hours=1)
    revoked = keys.revoke(key.id)
    assert revoked.revoked_at == clock.now
    clock.move(hours=1)
    assert keys.revoke(key.id) == revoked  # again changes nothing
    with pytest.raises(Unauthorized, match="revoked"):
        keys.authenticate(text)
    assert keys.list() == [revoked]
    with pytest.raises(KeyNotFound, match="nothing"):
        keys.revoke("nothing")


def test_an_expired_key_is_refused(keys: KeyStore, clock: Any) -> None:
    _, text = keys.create("a", ["read"], expires_in=timedelta(days=2))
    clock.move(days=2, seconds=-1)
    keys.authenticate(text)
    clock.move(seconds=1)
    with pytest.raises(Unauthorized, match="expired at 2026-05-03T00:00:00Z"):
        keys.authenticate(text)


def test_keys_are_asked_for_from_the_first_one_on_even_if_revoked(keys: KeyStore, database: AccessDatabase) -> None:
    assert not keys.any()
    key, _ = keys.create("a", ["read"])
    keys.revoke(key.id)
    assert keys.any()
    assert KeyStore(database).any()


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb", "\x1b[2J"])
def test_names_that_cannot_be_shown(keys: KeyStore, name: str) -> None:
    with pytest.raises(BadParameter):
        keys.create(name, ["read"])


def test_two_stores_make_keys_at_once(keys: KeyStore, database: AccessDatabase) -> None:
    other_database = AccessDatabase(database.path.parent)
    other = KeyStore(other_database)
    for number in range(5):
        keys.create(f"a{number}", ["read"])
        other.create(f"b{number}", ["read"])
    assert len(keys.list()) == len(other.list()) == 10
    other_database.close()


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(AccessUnusable) as caught:
        AccessDatabase(tmp_path)
    assert FILE in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    AccessDatabase(tmp_path).close()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("UPDATE access SET format_version = 99")
    connection.commit()
    connection.close()
    with pytest.raises(AccessUnusable, match="version 99"):
        AccessDatabase(tmp_path)


def test_a_missing_file_is_made_only_where_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(AccessUnusable, match="--data"):
        AccessDatabase(tmp_path / "nothing", create=False)
    assert not (tmp_path / "nothing").exists()
    (tmp_path / "file").touch()
    with pytest.raises(AccessUnusable):
        AccessDatabase(tmp_path / "file")
