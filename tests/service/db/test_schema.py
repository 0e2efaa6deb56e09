"""Formats: tables from metadata, steps from older versions, and what is not ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, ForeignKey, Index, Integer, MetaData, String, Table

from vitreid.service.db import (
    Database,
    Fault,
    Format,
    JsonText,
    StorageErrors,
    create_tables,
    schema_faults,
    sqlite,
    upgrade,
)
from vitreid.service.errors import ServiceError

ERRORS = StorageErrors(dict.fromkeys(Fault, ServiceError))


def tables_of(*columns: Column[Any]) -> tuple[MetaData, Table]:
    """Metadata of a database of people with `columns`, and its header table."""
    metadata = MetaData()
    header = Table("header", metadata, Column("id", Integer, primary_key=True), Column("format_version", Integer))
    Table("people", metadata, Column("id", Integer, primary_key=True), *columns, **sqlite.NO_ID_TWICE)
    parent = ForeignKey("people.id", ondelete="CASCADE")
    Table("notes", metadata, Column("person", parent, primary_key=True), Column("text", String))
    return metadata, header


def rebuild_people(connection: Connection) -> None:
    """Replace people.name by people.label in the way of SQLite: a rename of the old table would change references."""
    metadata, _ = tables_of(Column("label", String, nullable=False))
    new = metadata.tables["people"].to_metadata(MetaData(), name="people_new")
    new.create(connection)
    connection.exec_driver_sql("INSERT INTO people_new (id, label) SELECT id, name FROM people")
    connection.exec_driver_sql("DROP TABLE people")
    connection.exec_driver_sql("ALTER TABLE people_new RENAME TO people")


OLD = Format(*tables_of(Column("name", String)))
NEW = Format(*tables_of(Column("label", String, nullable=False)), steps=(rebuild_people,))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database of format 1 with one row that hangs on another."""
    sqlite.create_file(tmp_path / "people.db")
    opened = Database(tmp_path / "people.db", ERRORS)
    with opened.writing() as connection:
        create_tables(connection, OLD)
        connection.exec_driver_sql("INSERT INTO people VALUES (7, 'anna')")
        connection.exec_driver_sql("INSERT INTO notes VALUES (7, 'tall')")
    yield opened
    opened.close()


def faults(database: Database, form: Format) -> list[str]:
    with database.reading() as connection:
        return list(schema_faults(connection, form.metadata.tables.values()))


def test_created_tables_are_those_of_the_metadata(database: Database) -> None:
    assert faults(database, OLD) == []
    assert faults(database, NEW) == ["its table 'people' is not defined as it must be"]


def test_a_step_leads_to_the_next_version_and_loses_nothing(database: Database) -> None:
    upgrade(database, NEW)
    upgrade(database, NEW)  # changes nothing
    assert faults(database, NEW) == []
    with database.writing() as connection:
        assert connection.exec_driver_sql("SELECT * FROM people JOIN notes ON person = id").all() == [
            (7, "anna", 7, "tall")
        ]
        assert connection.exec_driver_sql("SELECT format_version FROM header").scalar() == 2
        connection.exec_driver_sql("DELETE FROM people")  # foreign keys are on again
        assert connection.exec_driver_sql("SELECT * FROM notes").all() == []


def test_a_step_that_fails_changes_nothing(database: Database) -> None:
    def fail(connection: Connection) -> None:
        rebuild_people(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        upgrade(database, Format(NEW.metadata, NEW.header, steps=(fail,)))
    assert faults(database, OLD) == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE header SET format_version = 9", "it has format_version 9, this vitreid reads up to 2.*update vitreid"),
        ("UPDATE header SET format_version = 0", "unknown format_version 0"),
        ("DELETE FROM header", "no row in table header"),
        ("DROP TABLE header", "no such table: header"),
    ],
)
def test_another_version_is_refused(statement: str, message: str, database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql(statement)
    with pytest.raises(ServiceError, match=message):
        upgrade(database, NEW)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("CREATE TRIGGER t AFTER DELETE ON people BEGIN SELECT 1; END", "it has a trigger 't', which is not ours"),
        ("CREATE VIEW everybody AS SELECT * FROM people", "it has a view 'everybody', which is not ours"),
        ("DROP TABLE notes", "its table 'notes' is missing"),
        ("ALTER TABLE notes ADD COLUMN more", "its table 'notes' is not defined as it must be"),
    ],
)
def test_what_is_not_ours_is_found(statement: str, fault: str, database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql(statement)
    assert faults(database, OLD) == [fault]


def test_definitions_are_those_that_sqlite_stores(tmp_path: Path) -> None:
    """Whatever options tables and indexes have."""
    metadata = MetaData()
    Table(
        "pairs",
        metadata,
        Column("key", String, primary_key=True),
        Column("value", JsonText(null_text=True), unique=True),
        Index("by_value", "value"),
        **sqlite.BY_KEY,
    )
    sqlite.create_file(tmp_path / "pairs.db")
    opened = Database(tmp_path / "pairs.db", ERRORS)
    with opened.writing() as connection:
        metadata.create_all(connection)
        assert sqlite.definitions(connection) == sqlite.definitions_of(metadata.tables.values())
        pairs = metadata.tables["pairs"]
        values: list[Any] = [None, 5, "5", True, [1.5, "x"], {"a": None}]
        connection.execute(pairs.insert(), [{"key": str(n), "value": value} for n, value in enumerate(values)])
        assert [row.value for row in connection.execute(pairs.select().order_by(pairs.c.key))] == values
    opened.close()


def test_the_direct_connection_is_closed_when_idle_and_for_good(database: Database) -> None:
    direct = database.direct()
    assert direct.run("SELECT name FROM people WHERE id = ?", 7) == [("anna",)]
    version = direct.version()
    database.close_idle()
    assert direct.run("SELECT 1") == [(1,)]
    assert direct.version() != version  # a new connection counts for itself
    database.close()
    with pytest.raises(ServiceError, match="it was closed"):
        direct.run("SELECT 1")


def test_our_own_mistakes_keep_their_traceback(database: Database) -> None:
    wrong: list[Callable[[], object]] = [
        lambda: database.direct().run("SELECT ?"),
        lambda: database.direct().run("SELEKT"),
    ]
    for call in wrong:
        with pytest.raises(Exception, match=r"SELEKT|binding") as error:
            call()
        assert not isinstance(error.value, ServiceError)
