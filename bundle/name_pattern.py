"""Labels from the names of files and folders, by a pattern such as `{camera}/{time:%Y-%m-%d_%H-%M-%S}_*`.

`{person}`, `{camera}` and `{track}` take as little text as they can, `{time:FORMAT}` what strptime's FORMAT says, and
`*` (or `...`) any text. A time may stand in parts, such as the day in the folder and the hour in the file. A pattern
with a slash is compared with the last folders of a path, one without with the file's name; suffixes do not count.
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
"""Of a time's format, each with what it matches."""

_TOKENS = re.compile(r"\{(?P<field>[^{}:]*)(?::(?P<format>[^{}]*))?\}|(?P<any>\*|\.\.\.)|(?P<brace>[{}])")


@dataclass(frozen=True)
class NameLabel:
    """What a name says; None where it says nothing."""

    person_id: str | None = None
    camera_id: str | None = None
    track_id: str | None = None
    captured_at: datetime | None = None


@dataclass(frozen=True)
class NamePattern:
    """A pattern, ready to read names by."""

    text: str
    fields: tuple[str, ...]
    assumes_utc: bool
    """Whether neither the pattern nor its user says the offset of the times."""
    _expression: re.Pattern[str]
    _format: str
    _zone: tzinfo

    @classmethod
    def parse(cls, text: str, time_zone: str | None = None) -> NamePattern:
        """Read a pattern. `time_zone` is that of its times, as `Europe/Berlin`; UTC where nothing says it.

        Raises NamePatternError.
        """
        expression, formats, fields = _expression(text)
        told = "".join(formats)
        if time_zone is not None and (not formats or "%z" in told):
            reason = "has its offset in %z" if formats else "has no {time:FORMAT}"
            raise NamePatternError(f"name pattern {text!r} {reason}, so a time zone means nothing; leave one out")
        if formats and not _has_day(told):
            raise NamePatternError(
                f"name pattern {text!r} has times without a day; name %Y, %m and %d, as in {EXAMPLE}"
            )
        parts = re.findall("%(.)", told)
        if twice := next((part for part in parts if parts.count(part) > 1), None):
            raise NamePatternError(
                f"name pattern {text!r} has %{twice} twice; name it once, and * where it is repeated"
            )
        zone = _zone(time_zone)
        assumes = bool(formats) and time_zone is None and "%z" not in told
        return cls(text, tuple(fields), assumes, re.compile(expression), " ".join(formats), zone)

    def read(self, path: str) -> NameLabel | None:
        """What a path with slashes says; None where it does not follow the pattern."""
        parts = path.split("/")[-1 - self.text.count("/") :]
        *folders, name = parts
        stem = name[: name.rfind(".")] if "." in name[1:] else name
        match = self._expression.fullmatch("/".join([*folders, stem]))
        if match is None:
            return None
        said = {field: match[field].strip() for field in self.fields if field != "time"}
        try:
            time = self._time(match)
        except (ValueError, OverflowError):
            return None
        if not all(said.values()):
            return None
        person = said.get("person")
        return NameLabel(None if person in NOBODY else person, said.get("camera"), said.get("track"), time)

    def read_all(self, paths: Sequence[str]) -> list[NameLabel]:
        """What paths say. Raises NamePatternError where some do not follow the pattern."""
        read = [self.read(path) for path in paths]
        if other := [path for path, label in zip(paths, read, strict=True) if label is None]:
            raise NamePatternError(
                f"{len(other):,} of {len(paths):,} names do not follow the name pattern {self.text!r}, such as "
                f"{other[0]!r}; change the pattern (* stands for any text), or move these files elsewhere"
            )
        return [label for label in read if label is not None]

    def _time(self, match: re.Match[str]) -> datetime | None:
        if "time" not in self.fields:
            return None
        text = " ".join(value for name, value in match.groupdict().items() if name.startswith("time"))
        time = datetime.strptime(text, self._format)
        return (time if time.tzinfo else time.replace(tzinfo=self._zone)).astimezone(UTC)


def _expression(text: str) -> tuple[str, list[str], list[str]]:
    """The regular expression of a pattern, the formats of its times, and its fields."""
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
        told = "a time without a format" if len(parts) == 1 else f"%{unknown[0]} in a time"
        raise NamePatternError(
            f"name pattern {text!r} has {told}; a format has %{', %'.join(DIRECTIVES)}, as in {EXAMPLE}"
        )
    return "".join(DIRECTIVES[part] if place % 2 else re.escape(part) for place, part in enumerate(parts))


def _has_day(told: str) -> bool:
    return ("%Y" in told or "%y" in told) and ("%j" in told or ("%m" in told and "%d" in told))


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    try:
        if re.fullmatch(r"[+-]\d{2}:?\d{2}|Z", name):
            return datetime.strptime(name, "%z").tzinfo or UTC
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise NamePatternError(f"no time zone {name!r}; name one as Europe/Berlin, UTC or +02:00") from error
