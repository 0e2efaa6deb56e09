"""What is known of a JPEG image before and beside its decoder."""

from __future__ import annotations

START, SCAN, END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
PROGRESSIVE = b"\xff\xc2"
PADDINGS = (END, b"\xb5\x6d\xa9" * 40 + END, b"\x5b\xd6\x93" * 40 + END)
"""What may stand in for a lost end: its own marker, after which a decoder goes on with zeros, or other bits before."""


def is_jpeg(content: bytes) -> bool:
    """Whether the bytes begin as a JPEG image does."""
    return content.startswith(START)


def scans(content: bytes) -> int:
    """The number of passes over the pixels; 0 for other formats."""
    return content.count(SCAN) if is_jpeg(content) else 0


def ended(content: bytes) -> list[bytes]:
    """A JPEG image whose end marker is missing, with different ends; nothing for any other file.

    A decoder gives the same pixels for all of them where none is missing: what comes after the last one is not read. A
    progressive image is left out, as one that lacks its last passes gives the same pixels, too.
    """
    scan = content.rfind(SCAN)
    if not is_jpeg(content) or scan < 0 or END in content[scan:] or PROGRESSIVE in content[:scan]:
        return []
    return [content.rstrip(b"\xff") + padding for padding in PADDINGS]
