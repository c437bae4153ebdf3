"""The ledger's services: a row when a run starts, a heartbeat while it lives, the outcome when it ends."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection, connections
from django.utils import timezone

from operations.models import OperationRun
from operations.outcomes import TryAgainLater

logger = logging.getLogger(__name__)

HEARTBEAT_EVERY = timedelta(seconds=20)


@contextmanager
def run_lock(*, operation: str, period: str) -> Iterator[None]:
    """
    Hold the Postgres advisory lock of this operation and period.

    The lock belongs to the database session: when the process dies, however it dies, it is free again.

    :raises TryAgainLater: another process holds it.
    """
    key = f"operation:{operation}:{period}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
        (taken,) = cursor.fetchone()
    if not taken:
        raise TryAgainLater(f"{operation} for {period} is running elsewhere.")
    try:
        yield
    finally:
        _release(key)


def _release(key: str) -> None:
    # A connection lost on the way has released the lock already, and must not hide the real error.
    try:
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])
    except DatabaseError:
        connection.close()


def run_start(
    *, operation: str, period: str, as_of: datetime, dry_run: bool, options: dict[str, Any]
) -> OperationRun:
    """
    Open the ledger row of a run; call it with the run's lock held.

    Rows of the same operation and period that still say "running" belong to processes that were killed
    (they no longer hold the lock), and are closed as abandoned.
    """
    now = timezone.now()
    OperationRun.objects.filter(operation=operation, period=period, state=OperationRun.State.RUNNING).update(
        state=OperationRun.State.ABANDONED, finished_at=now, error="The process ended without a word."
    )
    return OperationRun.objects.create(
        operation=operation,
        period=period,
        as_of=as_of,
        dry_run=dry_run,
        options=options,
        started_at=now,
        heartbeat_at=now,
        **_who_asked(),
    )


def _who_asked() -> dict[str, Any]:
    """Read Airflow's context variables, or name the person at the keyboard."""
    dag_run_id = os.environ.get("AIRFLOW_CTX_DAG_RUN_ID", "")
    if not dag_run_id:
        return {"requested_by": f"hand:{os.environ.get('SUDO_USER') or os.environ.get('USER') or 'unknown'}"}
    try_number = os.environ.get("AIRFLOW_CTX_TRY_NUMBER", "")
    return {
        "requested_by": "airflow",
        "dag_run_id": dag_run_id,
        "try_number": int(try_number) if try_number.isdigit() else None,
    }


def run_finish(*, run: OperationRun, exit_code: int, error: str, report: dict[str, Any]) -> OperationRun:
    """Write the outcome of a run, once: a row that is closed already stays as it is."""
    # The work may have lost the connection; the outcome is written on a new one.
    if connection.connection is not None and not connection.in_atomic_block and not connection.is_usable():
        connection.close()
    run.state = OperationRun.State.SUCCEEDED if exit_code == 0 else OperationRun.State.FAILED
    run.finished_at = timezone.now()
    run.exit_code, run.error, run.report = exit_code, error, report
    OperationRun.objects.filter(pk=run.pk, state=OperationRun.State.RUNNING).update(
        state=run.state,
        finished_at=run.finished_at,
        heartbeat_at=run.finished_at,
        exit_code=exit_code,
        error=error,
        report=report,
    )
    return run


@contextmanager
def heartbeat(run: OperationRun, *, every: timedelta = HEARTBEAT_EVERY) -> Iterator[None]:
    """Move ``heartbeat_at`` from a thread with a connection of its own while the block runs."""
    done = threading.Event()

    def beat() -> None:
        try:
            while not done.wait(every.total_seconds()):
                _tolerate(
                    lambda: OperationRun.objects.filter(pk=run.pk, state=OperationRun.State.RUNNING).update(
                        heartbeat_at=timezone.now()
                    )
                )
        finally:
            connections.close_all()

    thread = threading.Thread(target=beat, name=f"heartbeat-{run.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=10)


def _tolerate(write: Callable[[], object]) -> None:
    # A heartbeat that can't be written is not a reason to stop the work.
    try:
        write()
    except DatabaseError:
        logger.warning("The ledger's heartbeat could not be written.")
        connections.close_all()
