"""The body of an error, `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, Field

MAX_ERRORS = 20
"""Number of wrong values of a request that its problem lists."""


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="path of the value, as in `query.k`", examples=["query.k"])
    message: str = Field(examples=["is 20000: should be less than or equal to 10000"])


class Problem(BaseModel):
    """An error (RFC 9457). `type` is stable and safe to compare; `detail` is for people."""

    type: str = Field(examples=["/problems/bad-image"])
    title: str = Field(examples=["Bad image"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["image: is not an image in JPEG, PNG, WEBP"])
    instance: str | None = Field(None, description="the requested path", examples=["/v1/query"])
    request_id: str | None = Field(None, description="the same as the answer's X-Request-ID header")
    errors: list[FieldError] | None = Field(None, description=f"the wrong values, at most {MAX_ERRORS} of them")
    error_count: int | None = Field(None, description="number of wrong values in all", examples=[1])

    @property
    def slug(self) -> str:
        """The last part of `type`."""
        return self.type.rpartition("/")[2]
