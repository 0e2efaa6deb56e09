"""Detection of ONNX files with weights in other files, without the package `onnx`, which a service does not have.

The hashes of a bundle do not cover such weights. An ONNX file is a protobuf message: the fields that lead to tensors
are walked, and all others are skipped by their length.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

# Message: {field number: message of the field}, from onnx.proto.
FIELDS = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED = {FIXED64: 8, FIXED32: 4}


def has_external_data(file: Path) -> bool:
    """Return whether a tensor of an ONNX file has its data in another file. Raises ValueError for other files."""
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        messages = [("Model", 0, len(content))]
        while messages:
            name, begin, end = messages.pop()
            for number, first, last in _fields(content, begin, end):
                if name == "Tensor" and number in (EXTERNAL_DATA, DATA_LOCATION) and last > first:
                    return True
                if child := FIELDS[name].get(number):
                    messages.append((child, first, last))
    return False


def _fields(content: mmap.mmap, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each field's content; an integer that is 0, the default, has an empty one."""
    while begin < end:
        key, begin = _varint(content, begin)
        number, kind = (key & 0xFFFFFFFF) >> 3, key & 7  # as protobuf's own parsers cut it
        if kind == VARINT:
            value, last = _varint(content, begin)
            begin = last if not value else begin
        elif kind == BYTES:
            length, begin = _varint(content, begin)
            last = begin + length
        elif kind in FIXED:
            last = begin + FIXED[kind]
        else:
            raise ValueError(f"unknown wire type {kind}")
        if last > end:
            raise ValueError("a field ends beyond its message")
        yield number, begin, last
        begin = last


def _varint(content: mmap.mmap, offset: int) -> tuple[int, int]:
    """Return the integer at an offset, and the offset after it."""
    value = 0
    for shift in range(0, 70, 7):
        if offset >= len(content):
            break
        byte = content[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
    raise ValueError("an integer does not end")
