"""Authentication and rate limits of requests, with the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vitreid.service.access.audit import AuditLog, Entry
from vitreid.service.access.database import FILE, AccessDatabase
from vitreid.service.access.errors import RateLimited, Unauthorized
from vitreid.service.access.keys import KeyStore
from vitreid.service.access.principal import ANONYMOUS, Principal
from vitreid.service.access.rates import Buckets
from vitreid.service.db import Reserve

FAILURES_PER_S, FAILURES_AT_ONCE = 1.0, 30
REFUSALS_NOTED_PER_S = 1.0


@dataclass(frozen=True)
class Access:
    """Keys and log of one data folder, and the rate limits of keys and addresses."""

    keys: KeyStore
    audit: AuditLog
    rates: Buckets | None  # None: no limit
    failures: Buckets
    noted: Buckets
    log_addresses: bool
    require_keys: bool

    @property
    def open_to_all(self) -> bool:
        """True if everybody may do everything: no key was ever made, and none is required."""
        return not self.require_keys and not self.keys.any()

    def authenticate(self, key: str | None, address: str) -> Principal:
        """Return the caller: the holder of the key, or anybody while there are no keys and none is required.

        Raises Unauthorized; RateLimited for an address with too many wrong keys. A valid key is never refused for that:
        behind a proxy all clients may have one address.
        """
        if self.open_to_all:
            return ANONYMOUS
        try:
            if key is None:
                raise Unauthorized(
                    "an API key is needed: send it as `Authorization: Bearer vitreid_...` or `X-API-Key`"
                )
            return self.keys.authenticate(key)
        except Unauthorized:
            if wait_s := self.failures.take(address):
                raise RateLimited("too many requests without a valid API key", wait_s) from None
            raise

    def check_rate(self, principal: Principal, address: str) -> None:
        """Count one request of a key, or of an address without one. Raises RateLimited."""
        if self.rates is None:
            return
        if wait_s := self.rates.take(principal.key_id or f"address {address}"):
            caller = f"address {address}" if principal.key_id is None else f"key {principal.name!r}"
            raise RateLimited(f"rate limit exceeded for {caller}; retry in {wait_s:.1f} s", wait_s)


@contextmanager
def open_records(data: Path, *, audit_days: int, create: bool = False) -> Iterator[tuple[KeyStore, AuditLog]]:
    """Open the keys and the log in DATA/access.db. Raises AccessUnusable, also if it is missing without `create`."""
    database = AccessDatabase(data, create=create)
    try:
        yield KeyStore(database), AuditLog(database, days=audit_days, reserve=Reserve(data))
    finally:
        database.close()


@contextmanager
def open_access(
    data: Path, *, rate_per_s: float | None, rate_burst: int, audit_days: int, audit_addresses: bool, require_keys: bool
) -> Iterator[Access]:
    """Open keys, log and rate limits; DATA/access.db is made if it is missing. Raises AccessUnusable."""
    with open_records(data, audit_days=audit_days, create=True) as (keys, audit):
        yield Access(
            keys=keys,
            audit=audit,
            rates=None if rate_per_s is None else Buckets(rate_per_s, rate_burst),
            failures=Buckets(FAILURES_PER_S, FAILURES_AT_ONCE),
            noted=Buckets(REFUSALS_NOTED_PER_S, 1),
            log_addresses=audit_addresses,
            require_keys=require_keys,
        )


def keys_exist(data: Path) -> bool:
    """Return whether the service of this data folder needs keys. Raises AccessUnusable."""
    if not (data / FILE).is_file():
        return False
    with open_records(data, audit_days=1) as (keys, _):
        return keys.any()


def record_command(gallery: Path, entry: Entry, *, audit_days: int) -> None:
    """Record a command on the gallery in this folder, if its service has an audit log.

    Raises AccessUnusable.
    """
    data = gallery.absolute().parent.parent
    if (data / FILE).is_file():
        with open_records(data, audit_days=audit_days) as (_, audit):
            audit.record(entry)
