"""Formats: the tables of a database, the steps from older formats, and the check that it has nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, Table, select

from vitreid.service.db import sqlite
from vitreid.service.db.database import Database
from vitreid.service.db.faults import Fault


@dataclass(frozen=True)
class Format:
    """The tables of one kind of database. Its version is one more than the steps that lead from format 1."""

    metadata: MetaData
    header: Table
    """Has one row, with the column `format_version`."""
    steps: Sequence[Callable[[Connection], None]] = ()
    """The step at position n leads from version n + 1 to n + 2; never changed once released."""

    @property
    def version(self) -> int:
        """The version of the present tables."""
        return 1 + len(self.steps)


def create_tables(connection: Connection, form: Format, **header: object) -> None:
    """Create the tables in an empty database, with these values in the header."""
    form.metadata.create_all(connection)
    connection.execute(form.header.insert().values(id=1, format_version=form.version, **header))


def upgrade(database: Database, form: Format) -> None:
    """Bring a database to the present version in one transaction. Raises the errors for DAMAGED and TOO_NEW."""
    with database.reading(opening=True) as connection:
        found = _version(database, connection, form)
    if found == form.version:
        return
    if found > form.version:
        raise database.error(Fault.TOO_NEW, f"it has format_version {found}, this vitreid reads up to {form.version}")
    if found < 1:
        raise database.error(Fault.DAMAGED, f"unknown format_version {found}")
    with database.restructuring() as connection:
        # Read again: another process may have upgraded it in between.
        for step in form.steps[_version(database, connection, form) - 1 :]:
            step(connection)
        connection.execute(form.header.update().values(format_version=form.version))


def _version(database: Database, connection: Connection, form: Format) -> int:
    found: int | None = connection.execute(select(form.header.c.format_version)).scalar()
    if found is None:
        raise database.error(Fault.DAMAGED, f"no row in table {form.header.name}")
    return found


def schema_faults(connection: Connection, tables: Iterable[Table]) -> Iterator[str]:
    """Yield what a database has beside these tables, or otherwise: a foreign trigger could keep what is erased."""
    ours, found = sqlite.definitions_of(tables), sqlite.definitions(connection)
    for (kind, name), sql in found.items():
        if (kind, name) not in ours:
            yield f"it has a {kind} {name!r:.60}, which is not ours"
        elif sql != ours[kind, name]:
            yield f"its {kind} {name!r} is not defined as it must be"
    for kind, name in ours.keys() - found.keys():
        yield f"its {kind} {name!r} is missing"
