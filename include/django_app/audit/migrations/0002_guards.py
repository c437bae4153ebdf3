"""The head row, the trigger that refuses changes, and the application role's rights."""

from django.conf import settings
from django.db import migrations

GUARD = """
CREATE FUNCTION audit_entry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE ON audit_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_is_append_only();
CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_is_append_only();
-- ALWAYS: also where a session calls itself a replica.
ALTER TABLE audit_auditentry ENABLE ALWAYS TRIGGER audit_entry_append_only;
ALTER TABLE audit_auditentry ENABLE ALWAYS TRIGGER audit_entry_no_truncate;
"""

UNGUARD = """
DROP TRIGGER audit_entry_append_only ON audit_auditentry;
DROP TRIGGER audit_entry_no_truncate ON audit_auditentry;
DROP FUNCTION audit_entry_is_append_only();
"""


def first_head(apps, schema_editor):
    apps.get_model("audit", "AuditHead").objects.create(id=1, entry_hash=bytes(32))


def revoke_from_application_role(apps, schema_editor):
    """The application may only insert and select; where it is the owner (unit tests) there is no such role."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [settings.DATABASE_APPLICATION_ROLE])
        if cursor.fetchone():
            role = schema_editor.connection.ops.quote_name(settings.DATABASE_APPLICATION_ROLE)
            cursor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON audit_auditentry FROM {role}")
            cursor.execute(f"REVOKE INSERT, DELETE, TRUNCATE ON audit_audithead FROM {role}")


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        migrations.RunPython(first_head, migrations.RunPython.noop),
        migrations.RunSQL(GUARD, UNGUARD),
        migrations.RunPython(revoke_from_application_role, migrations.RunPython.noop),
    ]
