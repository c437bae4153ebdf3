"""Running a command as a process of its own on the test database, so that it can be killed for good."""

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings
from django.db import connection

MANAGE = Path(settings.BASE_DIR) / "manage.py"


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """
    Run ``manage.py`` to its end, whatever the end.

    :param environment: set on top of the session's, such as ``TAXOPS_FAILPOINTS="outbox.claimed=kill"``.
    """
    database = connection.settings_dict
    values = {
        **os.environ,
        "TAXOPS_DATABASE_URL": f"postgresql://{database['USER']}@/{database['NAME']}?host={database['HOST']}",
        "TAXOPS_SMTP_URL": f"smtp://{settings.EMAIL_HOST}:{settings.EMAIL_PORT}",
        **environment,
    }
    return subprocess.run(
        [sys.executable, str(MANAGE), *arguments],
        env=values,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
