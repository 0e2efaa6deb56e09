"""Labels from the names of files and folders, by a pattern such as `{camera}/{time:%Y-%m-%d_%H-%M-%S}_*`.

`{person}`, `{camera}` and `{track}` match as little text as possible, `{time:FORMAT}` a time in strptime's FORMAT, and
`*` (or `...`) any text. A time may have several parts, such as the day in the folder and the hour in the file. A
pattern with slashes is matched against the last folders and the name, one without against the name only; suffixes are
ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from vitreid.bundle.errors import NamePatternError
from vitreid.bundle.market_names import NOBODY

EXAMPLE = "{camera}_{time:%Y-%m-%d_%H-%M-%S}_*"
FIELDS = {"person": "person", "camera": "camera", "track": "track", "time": "time"} | {
    "person_id": "person", "camera_id": "camera", "track_id": "track", "captured_at": "time",
}  # fmt: skip
DIRECTIVES = {
    "Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{2}", "d": r"\d{2}", "j": r"\d{3}", "H": r"\d{2}", "M": r"\d{2}",
    "S": r"\d{2}", "f": r"\d{1,6}", "z": r"(?:Z|[+-]\d{2}:?\d{2})",
}  # fmt: skip
"""Directives of a time's format, each with the expression that it matches."""

_TOKENS = re.compile(r"\{(?P<field>[^{}:]*)(?::(?P<format>[^{}]*))?\}|(?P<any>\*|\.\.\.)|(?P<brace>[{}])")


@dataclass(frozen=True)
class NameLabel:
    """The labels in a name; None for each that is not there."""

    person_id: str | None = None
    camera_id: str | None = None
    track_id: str | None = None
    captured_at: datetime | None = None


@dataclass(frozen=True)
class NamePattern:
    """A parsed name pattern."""

    text: str
    fields: tuple[str, ...]
    assumes_utc: bool
    """True if neither the pattern nor its user gives the offset of the times."""
    _expression: re.Pattern[str]
    _format: str
    _zone: tzinfo

    @classmethod
    def parse(cls, text: str, time_zone: str | None = None) -> NamePattern:
        """Parse a pattern. `time_zone` is that of its times, such as `Europe/Berlin`; by default UTC.

        Raises NamePatternError.
        """
        expression, formats, fields = _expression(text)
        directives = "".join(formats)
        if time_zone is not None and (not formats or "%z" in directives):
            reason = "has its offset in %z" if formats else "has no {time:FORMAT}"
            raise NamePatternError(f"name pattern {text!r} {reason}, so a time zone has no effect; leave one out")
        if formats and not _has_day(directives):
            raise NamePatternError(
                f"name pattern {text!r} has times without a day; name %Y, %m and %d, as in {EXAMPLE}"
            )
        parts = re.findall("%(.)", directives)
        if twice := next((part for part in parts if parts.count(part) > 1), None):
            raise NamePatternError(
                f"name pattern {text!r} has %{twice} twice; name it once, and * where it is repeated"
            )
        zone = _zone(time_zone)
        assumes = bool(formats) and time_zone is None and "%z" not in directives
        return cls(text, tuple(fields), assumes, re.compile(expression), " ".join(formats), zone)

    def read(self, path: str) -> NameLabel | None:
        """Return the labels in a path with slashes; None if it does not match the pattern."""
        parts = path.split("/")[-1 - self.text.count("/") :]
        *folders, name = parts
        stem = name[: name.rfind(".")] if "." in name[1:] else name
        match = self._expression.fullmatch("/".join([*folders, stem]))
        if match is None:
            return None
        labels = {field: match[field].strip() for field in self.fields if field != "time"}
        try:
            time = self._time(match)
        except (ValueError, OverflowError):
            return None
        if not all(labels.values()):
            return None
        person = labels.get("person")
        return NameLabel(None if person in NOBODY else person, labels.get("camera"), labels.get("track"), time)

    def read_all(self, paths: Sequence[str]) -> list[NameLabel]:
        """Return the labels in paths. Raises NamePatternError if some do not match the pattern."""
        labels = [self.read(path) for path in paths]
        if other := [path for path, label in zip(paths, labels, strict=True) if label is None]:
            raise NamePatternError(
                f"{len(other):,} of {len(paths):,} names do not follow the name pattern {self.text!r}, such as "
                f"{other[0]!r}; change the pattern (* stands for any text), or move these files elsewhere"
            )
        return [label for label in labels if label is not None]

    def _time(self, match: re.Match[str]) -> datetime | None:
        if "time" not in self.fields:
            return None
        text = " ".join(value for name, value in match.groupdict().items() if name.startswith("time"))
        time = datetime.strptime(text, self._format)
        return (time if time.tzinfo else time.replace(tzinfo=self._zone)).astimezone(UTC)


def _expression(text: str) -> tuple[str, list[str], list[str]]:
    """Return the regular expression of a pattern, the formats of its times, and its fields."""
    expression, formats, fields, end = "", list[str](), list[str](), 0
    for token in _TOKENS.finditer(text):
        if token.start() == end and expression.endswith("+?)") and not token["any"]:
            raise NamePatternError(f"name pattern {text!r} has two fields without text between them")
        expression += re.escape(text[end : token.start()])
        end = token.end()
        if token["any"]:
            expression += "[^/]*?"
            continue
        field = FIELDS.get((token["field"] or "").strip()) if not token["brace"] else None
        if field is None:
            raise NamePatternError(
                f"name pattern {text!r} has {token[0]!r}; fields are {{person}}, {{camera}}, {{track}} and "
                f"{{time:FORMAT}}, as in {EXAMPLE}"
            )
        if field == "time":
            expression += f"(?P<time{len(formats)}>{_time_expression(text, token['format'])})"
            formats.append(token["format"])
        elif field in fields or token["format"]:
            raise NamePatternError(f"name pattern {text!r} has {token[0]!r} twice or with a format; name it once")
        else:
            expression += f"(?P<{field}>[^/]+?)"
        fields += [field] if field not in fields else []
    if not fields:
        raise NamePatternError(f"name pattern {text!r} has no field, such as {{camera}}; one is like {EXAMPLE}")
    return expression + re.escape(text[end:]), formats, fields


def _time_expression(text: str, form: str | None) -> str:
    parts = re.split(r"%(.?)", form or "")
    if len(parts) == 1 or (unknown := [each for each in parts[1::2] if each not in DIRECTIVES]):
        fault = "a time without a format" if len(parts) == 1 else f"%{unknown[0]} in a time"
        raise NamePatternError(
            f"name pattern {text!r} has {fault}; a format has %{', %'.join(DIRECTIVES)}, as in {EXAMPLE}"
        )
    return "".join(DIRECTIVES[part] if index % 2 else re.escape(part) for index, part in enumerate(parts))


def _has_day(directives: str) -> bool:
    parts = set(re.findall("%(.)", directives))
    return bool(parts & {"Y", "y"}) and ("j" in parts or parts >= {"m", "d"})


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    try:
        if re.fullmatch(r"[+-]\d{2}:?\d{2}|Z", name):
            return datetime.strptime(name, "%z").tzinfo or UTC
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise NamePatternError(f"no time zone {name!r}; give one such as Europe/Berlin, UTC or +02:00") from error
