"""
Places where the fault tests break a running operation.

``TAXOPS_FAILPOINTS`` holds ``name=action`` pairs separated by spaces, or ``@/path`` of a file that holds
them and is read at each call. Actions: ``kill`` (SIGKILL of this process), ``raise`` (RuntimeError),
``drop`` (the database connection is cut by the server), ``sleep:SECONDS``. ``name=action*N`` acts on the
Nth call of this process only, ``name=action@N`` on Airflow's try N only. Unset, a failpoint costs one
dictionary look-up.
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path

_calls: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Break here if the environment asks for it; otherwise do nothing."""
    spec = os.environ.get("TAXOPS_FAILPOINTS")
    if not spec:
        return
    if spec.startswith("@"):
        file = Path(spec[1:])
        spec = file.read_text() if file.exists() else ""
    _calls[name] += 1
    for pair in spec.split():
        target, _, action = pair.partition("=")
        action, _, try_number = action.partition("@")
        action, _, nth = action.partition("*")
        wanted_try = not try_number or try_number == os.environ.get("AIRFLOW_CTX_TRY_NUMBER")
        if target == name and wanted_try and (not nth or int(nth) == _calls[name]):
            _act(action)


def _act(action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "raise":
        raise RuntimeError("failpoint")
    elif action == "drop":
        _drop_connection()
    elif action.startswith("sleep:"):
        time.sleep(float(action.removeprefix("sleep:")))
    else:
        raise ValueError(f"unknown failpoint action {action!r}")


def _drop_connection() -> None:
    # The server ends our backend from inside: what the client sees is what an outage looks like.
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
