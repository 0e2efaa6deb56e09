"""Whether a database has our tables and nothing else: a trigger of somebody else's could keep what is erased."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache

from sqlalchemy import Connection, select

from vitreid.service.gallery.rows.migrations import FUNCTIONS, MIGRATIONS
from vitreid.service.gallery.rows.tables import embeddings_of, generations

Schema = dict[tuple[str, str], str]
"""By type and name ("table", "items"): the definition in one form."""

# A file can have triggers and views that are called sqlite_...: only its own tables and indexes are SQLite's.
_ALL = (
    "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE NOT (type = 'table' AND name IN "
    "('sqlite_sequence', 'sqlite_stat1', 'sqlite_stat4') OR type = 'index' AND name LIKE 'sqlite~_autoindex~_%' "
    "ESCAPE '~' AND sql IS NULL)"
)
_FIRST_EMBEDDINGS = embeddings_of(1).name
_CASCADE = ("items", "item_id", "id", "CASCADE")


def gallery_schema_faults(connection: Connection) -> Iterator[str]:
    """What the database of a gallery has that it must not have, or not as it must."""
    made = {embeddings_of(number).name for number in connection.execute(select(generations.c.id)).scalars()}
    ours = {key: sql for key, sql in _gallery_schema().items() if key[1] != _FIRST_EMBEDDINGS}
    yield from schema_faults(connection, ours, but=made)
    for name in sorted(made):
        columns = [row[1:3] for row in connection.exec_driver_sql(f"PRAGMA table_xinfo({name})")]
        keys = [row[2:5] + row[6:7] for row in connection.exec_driver_sql(f"PRAGMA foreign_key_list({name})")]
        if columns != [("item_id", "INTEGER"), ("embedding", "BLOB"), ("checksum", "INTEGER")] or keys != [_CASCADE]:
            yield f"its table {name!r} is not defined as it must be"


def schema_faults(connection: Connection, ours: Schema, *, but: Collection[str] = ()) -> Iterator[str]:
    """What a database has beside our schema or otherwise than it; tables of the names in `but` are passed over."""
    found = {(kind, name): _one_form(sql) for kind, name, sql in connection.exec_driver_sql(_ALL)}
    for (kind, name), sql in found.items():
        if kind == "table" and name in but:
            continue
        if (kind, name) not in ours:
            yield f"it has a {kind} {name!r:.60}, which is not ours"
        elif sql != ours[kind, name]:
            yield f"its {kind} {name!r} is not defined as it must be"
    for kind, name in ours.keys() - found.keys():
        yield f"its {kind} {name!r} is missing"


def schema_after(steps: Iterable[Sequence[str]]) -> Schema:
    """The schema that migrations lead to, by this SQLite."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for name, (arguments, function) in FUNCTIONS.items():
            connection.create_function(name, arguments, function, deterministic=True)
        for step in steps:
            for statement in step:
                connection.execute(statement)
        return {(kind, name): _one_form(sql) for kind, name, sql in connection.execute(_ALL)}


@cache
def _gallery_schema() -> Schema:
    return schema_after(MIGRATIONS)


def _one_form(sql: str) -> str:
    """Without what does not matter: quotes, spaces and case."""
    return re.sub(r"\s+", " ", re.sub(r"[\"`\[\]]", "", sql)).replace("( ", "(").replace(" )", ")").strip().lower()
