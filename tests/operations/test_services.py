"""The ledger's services on one database session."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from operations.services import run_finish, run_lock, run_start

AS_OF = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


def _locks_held() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted"
        )
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_the_lock_is_held_until_the_outcome_is_written() -> None:
    with run_lock(operation="verify_audit_trail", period="2026-03-10"):
        run = run_start(
            operation="verify_audit_trail", period="2026-03-10", as_of=AS_OF, dry_run=False, options={}
        )
        run_finish(run=run, exit_code=0, error="", report={})

        assert _locks_held() == 1

    assert _locks_held() == 0
