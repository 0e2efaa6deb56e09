"""Databases on disk: connections, typed errors, formats with their migrations, and room for a full disk."""

from vitreid.service.db.column_types import JsonText, Unreadable, UtcText, stored_json, stored_time, utc_text
from vitreid.service.db.database import Database, DirectConnection, translated
from vitreid.service.db.faults import Fault, StorageErrors, disk_fault
from vitreid.service.db.reserve import Reserve
from vitreid.service.db.schema import Format, create_tables, schema_faults, upgrade

__all__ = [
    "Database",
    "DirectConnection",
    "Fault",
    "Format",
    "JsonText",
    "Reserve",
    "StorageErrors",
    "Unreadable",
    "UtcText",
    "create_tables",
    "disk_fault",
    "schema_faults",
    "stored_json",
    "stored_time",
    "translated",
    "upgrade",
    "utc_text",
]
