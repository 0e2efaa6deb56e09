"""What pages of other sites may ask for through the browser of somebody who reaches the service: nothing unnamed."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import Request

from vitreid.service.errors import RequestError
from vitreid.service.values.addresses import origin_of

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OTHER_SITES = frozenset({"cross-site", "same-site"})  # of one site are all ports and neighbours of a host


class CrossSite(RequestError):
    """A page of another site asked for something."""

    slug = "cross-site"
    status = 403


def refuse_cross_site(request: Request, allowed: Collection[str], *, guarded: bool) -> None:
    """Refuse what a page of another origin, of none that is `allowed`, asks for. Raises CrossSite.

    Without access keys nothing else tells such a page from the user. Browsers leave Sec-Fetch-Site out on plain-http
    names and Origin out of most reads, so both are looked at. A link that leads to a page of ours may be followed.
    """
    origins = set(request.headers.getlist("origin"))
    if origins and origins <= set(allowed):
        return
    changes = request.method not in _SAFE_METHODS
    if (changes or guarded) and not all(_is_own(origin, request) for origin in origins):
        raise CrossSite(
            f"a page of {_listed(origins)} asked for this, and this is {_own(request)}; add the "
            "origin to VITREID_CORS_ORIGINS, or, where a proxy speaks https, name it in VITREID_TRUSTED_PROXIES"
        )
    followed = not changes and not guarded and request.headers.get("sec-fetch-mode") == "navigate"
    if request.headers.get("sec-fetch-site") in _OTHER_SITES and not followed:
        raise CrossSite(
            "a page of another site asked for this; open the service's own page, use another client, or add the "
            "page's origin to VITREID_CORS_ORIGINS"
        )


def _is_own(origin: str, request: Request) -> bool:
    own = origin_of(_own(request))
    return own is not None and origin_of(origin) == own


def _own(request: Request) -> str:
    return f"{request.scope['scheme']}://{request.headers.get('host', '')}"


def _listed(origins: Collection[str]) -> str:
    return ", ".join(sorted(origin[:100] for origin in origins))
