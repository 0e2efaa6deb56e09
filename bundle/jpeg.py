"""Inspection and repair of JPEG files without decoding them."""

from __future__ import annotations

START, SCAN, END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
PROGRESSIVE = b"\xff\xc2"
PADDINGS = (END, b"\xb5\x6d\xa9" * 40 + END, b"\x5b\xd6\x93" * 40 + END)
"""Replacements of a missing end: the end marker alone, after which a decoder reads zeros, or with other bits before."""


def is_jpeg(content: bytes) -> bool:
    """Return whether the bytes begin like a JPEG file."""
    return content.startswith(START)


def count_scans(content: bytes) -> int:
    """Return the number of scans, passes over the pixels; 0 for other formats."""
    return content.count(SCAN) if is_jpeg(content) else 0


def with_ends(content: bytes) -> list[bytes]:
    """Return a JPEG file without an end marker with each of PADDINGS; an empty list for any other file.

    If no pixel is missing, a decoder gives the same pixels for all of them: it does not read what comes after the last
    pixel. Progressive images are excluded, as one without its last scans would give the same pixels, too.
    """
    scan = content.rfind(SCAN)
    if not is_jpeg(content) or scan < 0 or END in content[scan:] or PROGRESSIVE in content[:scan]:
        return []
    return [content.rstrip(b"\xff") + padding for padding in PADDINGS]
