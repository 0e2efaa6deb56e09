"""Errors of keys and the audit log.

ServiceError
└── AccessError
    ├── Unauthorized           no valid key was given
    ├── Forbidden              the key does not allow this
    ├── RateLimited            too many requests of one key or address
    ├── KeyNotFound            there is no key with this id
    └── AccessUnusable         the file of keys and audit log cannot be read or written
"""

from __future__ import annotations

from vitreid.service.errors import ServiceError


class AccessError(ServiceError):
    """The caller may not do this."""

    slug = "access-error"
    status = 403


class Unauthorized(AccessError):
    """No valid API key was given."""

    slug = "unauthorized"
    status = 401


class Forbidden(AccessError):
    """The API key does not allow this."""

    slug = "forbidden"


class RateLimited(AccessError):
    """Too many requests of one key or address; one more is taken after `after_s` seconds."""

    slug = "too-many-requests"
    status = 429

    def __init__(self, message: str, after_s: float) -> None:
        super().__init__(message)
        self.after_s = after_s


class KeyNotFound(AccessError):
    """There is no key with this id."""

    slug = "key-not-found"
    status = 404


class AccessUnusable(AccessError):
    """The file of keys and audit log cannot be read or written."""

    slug = "access-unusable"
    status = 503
