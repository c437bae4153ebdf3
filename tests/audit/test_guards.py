"""What Postgres itself refuses: to the owner by trigger and constraint, to the application by its rights."""

import importlib
from collections.abc import Iterator

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction

from audit.models import AuditEntry
from audit.verification import verify_trail
from tests.audit import forger
from tests.commands import manage

REFUSED = [
    "UPDATE audit_auditentry SET payload = '{}' WHERE sequence = 1",
    "DELETE FROM audit_auditentry WHERE sequence = 1",
    "TRUNCATE audit_auditentry",
]
# What would take the guards away; the owner may, the application's role may not.
BEYOND_RIGHTS = [
    "ALTER TABLE audit_auditentry DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_entry_append_only ON audit_auditentry",
    "ALTER TABLE audit_auditentry DROP CONSTRAINT audit_auditentry_previous_hash_key",
    "ALTER TABLE audit_auditentry OWNER TO taxops_rights",
    "DROP TABLE audit_auditentry",
    "CREATE OR REPLACE FUNCTION audit_entry_is_append_only() RETURNS trigger LANGUAGE plpgsql "
    "AS 'BEGIN RETURN NULL; END'",
    "SET session_replication_role = replica",
    "DELETE FROM audit_audithead",
    "TRUNCATE audit_audithead",
    "INSERT INTO audit_audithead (id, sequence, at_us, entry_hash) VALUES (2, 0, 0, '')",
]


@pytest.mark.parametrize("statement", REFUSED)
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_the_owner_is_refused_by_the_trigger_also_as_a_replica(db: None, statement: str, role: str) -> None:
    forger.write(1)

    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(f"SET LOCAL session_replication_role = {role}")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(statement)

    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"sequence": 1}, "audit_auditentry_pkey"),
        ({"sequence": 0}, "audit_entry_sequence_from_1"),
        ({"previous_hash": bytes(32)}, "audit_auditentry_previous_hash_key"),
        ({"previous_hash": b"x" * 31}, "audit_entry_hashes_are_32_bytes"),
        ({"entry_hash": b"x" * 33}, "audit_entry_hashes_are_32_bytes"),
    ],
)
def test_no_fork_and_no_malformed_row_can_be_stored(db: None, changes: dict, constraint: str) -> None:
    forger.write(1)
    (row,) = forger.stored()
    values = {**vars(row), "sequence": 2, "previous_hash": row.entry_hash, **changes}

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        AuditEntry.objects.create(**values)


@pytest.fixture
def rights(transactional_db: None) -> Iterator[psycopg.Connection]:
    """A connection of a role with the application's rights and no others, as ``make up`` makes them."""
    migration = importlib.import_module("audit.migrations.0002_guards")
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE taxops_rights LOGIN")
        cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO taxops_rights")
        cursor.execute("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO taxops_rights")
    before, settings.DATABASE_APPLICATION_ROLE = settings.DATABASE_APPLICATION_ROLE, "taxops_rights"
    with connection.schema_editor() as editor:
        migration.revoke_from_application_role(apps, editor)
    settings.DATABASE_APPLICATION_ROLE = before
    database = connection.settings_dict
    with psycopg.connect(
        dbname=database["NAME"], host=database["HOST"], user="taxops_rights", autocommit=True
    ) as own:
        yield own
    with connection.cursor() as cursor:
        cursor.execute("DROP OWNED BY taxops_rights")
        cursor.execute("DROP ROLE taxops_rights")


def test_the_applications_role_may_read_and_append_and_nothing_else(rights: psycopg.Connection) -> None:
    forger.write(1)

    for statement in [*REFUSED, *BEYOND_RIGHTS]:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"permission denied|must be owner"):
            rights.execute(statement)

    with connection.cursor() as cursor:
        cursor.execute("SET SESSION AUTHORIZATION taxops_rights")
        forger.write(1)
        forger.write(100)
        report = verify_trail()
        cursor.execute("RESET SESSION AUTHORIZATION")
    assert (report.entries, report.findings) == (102, ())


def test_the_operation_runs_with_the_applications_rights(rights: psycopg.Connection) -> None:
    forger.write(3)
    database = connection.settings_dict
    url = f"postgresql://taxops_rights@/{database['NAME']}?host={database['HOST']}"

    run = manage("verify_audit_trail", TAXOPS_DATABASE_URL=url)

    assert run.returncode == 0, run.stderr
    assert '"entries": 3' in run.stdout
