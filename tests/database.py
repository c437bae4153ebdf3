"""What tests need of the database: flushing past the guards, and comparing everything before and after."""

from typing import Any

from django.apps import apps
from django.db import connection
from django.db.backends.postgresql.operations import DatabaseOperations

_flush = DatabaseOperations.execute_sql_flush


def flush_past_the_guards(operations: DatabaseOperations, statements: list[str]) -> None:
    """Empty the tables as their owner could: the audit trail's guards off and on again, a new head."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER USER")
        _flush(operations, statements)
        cursor.execute("ALTER TABLE audit_auditentry ENABLE ALWAYS TRIGGER audit_entry_append_only")
        cursor.execute("ALTER TABLE audit_auditentry ENABLE ALWAYS TRIGGER audit_entry_no_truncate")
        cursor.execute(
            "INSERT INTO audit_audithead (id, sequence, at_us, entry_hash) VALUES (1, 0, 0, %s)", [bytes(32)]
        )


def contents(*, but: tuple[str, ...] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of the project, for comparing a database with itself."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        if model._meta.label not in but:
            found[model._meta.label] = sorted(model._default_manager.values_list(), key=repr)
    return found
