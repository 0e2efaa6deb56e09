"""Names and addresses of hosts in one form each, as they stand in Host, in Origin and in settings."""

from __future__ import annotations

import ipaddress
import re

_NETLOC = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_-][a-z0-9_.-]{0,252})(?::([0-9]{1,5}))?", re.IGNORECASE)
_ORIGIN = re.compile(r"(https?)://(.+)", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Origin = tuple[str, str, int]
"""Scheme, host and port."""


def split_netloc(text: str) -> tuple[str, int | None] | None:
    """Return host and port of `host[:port]`; None for anything else.

    Names are in lower case without the dot of the root, addresses in their shortest form without brackets.
    """
    found = _NETLOC.fullmatch(text)
    if found is None:
        return None
    name, port = found[1].lower().removesuffix("."), found[2]
    address = address_of(name)
    if name.startswith("[") and address is None:
        return None
    return (name if address is None else str(address)), (None if port is None else int(port))


def host_of(text: str) -> str | None:
    """Return the host in a text without a port, IPv6 with or without brackets; None for anything else."""
    netloc = split_netloc(text) or split_netloc(f"[{text}]")
    return None if netloc is None or netloc[1] is not None else netloc[0]


def address_of(host: str) -> Address | None:
    """Return the IP address of a host, IPv4 in IPv6 as IPv4; None for a name."""
    try:
        found = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine alone."""
    address = address_of(host)
    return host == "localhost" if address is None else address.is_loopback


def origin_of(text: str) -> Origin | None:
    """Return the origin of `scheme://host[:port]`; None for anything else, `null` too."""
    found = _ORIGIN.fullmatch(text)
    netloc = split_netloc(found[2]) if found else None
    if found is None or netloc is None:
        return None
    scheme, (host, port) = found[1].lower(), netloc
    return scheme, host, _PORTS[scheme] if port is None else port


def origin_text(origin: Origin) -> str:
    """Return the origin as browsers write it (RFC 6454, 6.2)."""
    scheme, host, port = origin
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + ("" if port == _PORTS[scheme] else f":{port}")
