"""API keys: `vitreid_<id>_<secret>`, with the secret stored as a hash alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, select

from vitreid.service.access.database import AccessDatabase, keys
from vitreid.service.access.errors import KeyNotFound, Unauthorized
from vitreid.service.access.principal import Principal, Scope, held
from vitreid.service.db import utc_text
from vitreid.service.errors import BadParameter
from vitreid.service.values.times import HORIZON, STEP, utc_now

ID_LENGTH = 8
LONGEST_NAME = 64
_ID_LETTERS = string.ascii_lowercase + string.digits
_KEY = re.compile(rf"vitreid_([a-z0-9]{{{ID_LENGTH}}})_([A-Za-z0-9_-]{{43}})")
LOOK_UP = (
    "SELECT secret_hash, name, scopes, galleries, cameras, created_at, expires_at, revoked_at FROM keys WHERE id = ?"
)
# Compared if no key has the id, so that both take the same time.
NOBODY = (hashlib.sha256(b"").hexdigest(), "", "[]", None, None, "", None, None)
_INVALID = "the API key is not valid; `vitreid keys list` shows the keys there are"


@dataclass(frozen=True)
class Key:
    """A key without its secret."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    galleries: tuple[str, ...] | None
    cameras: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class KeyStore:
    """The keys of a data folder. Each call reads the file: what another process revoked is refused at once."""

    def __init__(self, database: AccessDatabase, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now
        self._any = False

    def any(self) -> bool:
        """Return whether a key was ever made, a revoked one included: from then on every request needs one."""
        if not self._any:  # keys are never taken out of the file: true stays true
            self._any = bool(self._database.look_up("SELECT EXISTS (SELECT 1 FROM keys)")[0][0])
        return self._any

    def create(
        self,
        name: str,
        scopes: Iterable[Scope],
        *,
        galleries: Iterable[str] | None = None,
        cameras: Iterable[str] | None = None,
        expires_in: timedelta | None = None,
    ) -> tuple[Key, str]:
        """Make a key; its text is returned here and stored nowhere. Raises BadParameter for a name not fit to show."""
        if not name.isprintable() or name != name.strip() or not 0 < len(name) <= LONGEST_NAME:
            raise BadParameter(
                f"key name {name!r} must be 1 to {LONGEST_NAME} printable characters, no space at its ends"
            )
        created = self._now()
        if expires_in is not None and created >= HORIZON:
            raise BadParameter(f"the clock shows {created:%Y-%m-%d}, so the key would not expire; set the clock first")
        secret = secrets.token_urlsafe(32)
        key = Key(
            id="".join(secrets.choice(_ID_LETTERS) for _ in range(ID_LENGTH)),
            name=name,
            scopes=tuple(sorted(set(scopes))),
            galleries=None if galleries is None else tuple(sorted(set(galleries))),
            cameras=None if cameras is None else tuple(sorted(set(cameras))),
            created_at=created,
            expires_at=None if expires_in is None else created + expires_in,
            revoked_at=None,
            last_used_at=None,
        )
        with self._database.writing() as connection:
            connection.execute(keys.insert().values(**vars(key), secret_hash=_hash(secret)))
        return key, f"vitreid_{key.id}_{secret}"

    def list(self) -> list[Key]:
        """Return all keys, the oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(keys).order_by(keys.c.created_at, keys.c.id)).all()
        return [_key(row) for row in rows]

    def revoke(self, key_id: str) -> Key:
        """Revoke a key; one that is revoked already does not change. Raises KeyNotFound."""
        with self._database.writing() as connection:
            connection.execute(
                keys.update().where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=self._now())
            )
            row = connection.execute(select(keys).where(keys.c.id == key_id)).first()
        if row is None:
            raise KeyNotFound(f"there is no key {key_id!r}; `vitreid keys list` shows the ids there are")
        return _key(row)

    def authenticate(self, text: str) -> Principal:
        """Return the holder of a key. Raises Unauthorized for one that is wrong, revoked or expired."""
        parts = _KEY.fullmatch(text)
        if parts is None:
            raise Unauthorized(_INVALID)
        key_id, secret = parts.groups()
        rows = self._database.look_up(LOOK_UP, key_id)
        secret_hash, name, scopes, galleries, cameras, created_at, expires_at, revoked_at = rows[0] if rows else NOBODY
        if not hmac.compare_digest(_hash(secret), secret_hash) or not rows:
            raise Unauthorized(_INVALID)
        if revoked_at is not None:
            raise Unauthorized(f"key {name!r} was revoked; ask for a new one")
        if expires_at is not None:
            self._check_period(name, created_at, expires_at)
        return Principal(key_id, name, held(json.loads(scopes)), _limit(galleries), _limit(cameras))

    def _check_period(self, name: str, created_at: str, expires_at: str) -> None:
        now = self._now()
        if expires_at <= utc_text(now):
            raise Unauthorized(f"key {name!r} expired at {expires_at[:19]}Z; ask for a new one")
        if created_at > utc_text(now + STEP):  # or an old key would be good again wherever the clock is set back
            raise Unauthorized(
                f"key {name!r} was made at {created_at[:19]}Z, after the clock's {utc_text(now)[:19]}Z; "
                "set the clock or create a new key"
            )


def _hash(secret: str) -> str:
    # A slow hash protects words that people choose; 256 random bits cannot be guessed at any speed.
    return hashlib.sha256(secret.encode()).hexdigest()


def _limit(names: str | None) -> frozenset[str] | None:
    return None if names is None else frozenset(json.loads(names))


def _key(row: Row[Any]) -> Key:
    limits = (None if names is None else tuple(names) for names in (row.galleries, row.cameras))
    galleries, cameras = limits
    return Key(
        row.id, row.name, tuple(row.scopes), galleries, cameras,
        row.created_at, row.expires_at, row.revoked_at, row.last_used_at,
    )  # fmt: skip
