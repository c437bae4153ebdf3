"""
What happens when a run fails or misses its deadline: one mail, and never an exception.

Two callbacks lead to the one mail about a failure. The task's knows the exception, but doesn't run when the
task's process is killed at its last try; the DAG's runs then too, in the dag-processor. The task's leaves a
mark (an XCom) that makes the DAG's keep quiet.
"""

import asyncio
import logging
from typing import Any

from airflow_django.incident import Incident, advice_of, period_of, shortened

__all__ = ["advice_of", "dag_failed", "deadline_missed", "task_failed"]

logger = logging.getLogger(__name__)

MARK = "operators_told"
# A relay that hangs must not hold the triggerer's other alerts.
LONGEST_SENDING_S = 25


def task_failed(context: Any) -> None:
    """Tell the operators that a task has failed for good; a task's ``on_failure_callback``."""
    try:
        ti = context["ti"]
        exception = context.get("exception")
        cause = str(exception) or type(exception).__name__ if exception else "No exception was recorded."
        # Marked before sending: the DAG's callback may look while the relay is slow.
        ti.xcom_push(key=MARK, value=True)
        if not _told(_incident(context, cause=cause, try_number=ti.try_number)):
            ti.xcom_push(key=MARK, value=False)
    except Exception:
        logger.exception("The callback of a failed task failed itself.")


def dag_failed(context: Any) -> None:
    """Tell the operators that a run has failed, unless its task has; a DAG's ``on_failure_callback``."""
    try:
        if _was_told(context):
            return
        ti = context.get("ti")
        cause = (
            "The task's process ended without a word, as when it is killed or out of memory, at its last try."
        )
        if context.get("reason") != "task_failure":
            cause = f"The run failed: {context.get('reason')}."
        _told(_incident(context, cause=cause, try_number=getattr(ti, "try_number", None)))
    except Exception:
        logger.exception("The callback of a failed run failed itself.")


def _was_told(context: Any) -> bool:
    ti = context.get("ti")
    if ti is None:
        return False
    try:
        return bool(ti.xcom_pull(task_ids=ti.task_id, key=MARK))
    except Exception:
        # Better twice than never.
        logger.exception("Whether the operators were told could not be read.")
        return False


def _incident(context: Any, *, cause: str, try_number: int | None) -> Incident:
    dag, run = context["dag"], context.get("dag_run")
    run_id = context["run_id"]
    known = {name: getattr(run, name, None) for name in ("conf", "run_after", "data_interval_start")}
    timetable = dag.timetable
    zone = str(getattr(timetable, "timezone", None) or "UTC")
    interval = next((getattr(task, "interval_option", None) or "" for task in dag.tasks), "")
    return Incident(
        headline="FAILED",
        operation=dag.dag_id,
        summary=dag.description or "",
        run_id=run_id,
        period=period_of(run=known, zone=zone, interval=interval),
        cause=shortened(cause),
        advice=advice_of(dag.doc_md),
        fingerprint=f"failed {dag.dag_id} {run_id} {try_number}",
        try_number=try_number,
    )


def _told(incident: Incident) -> bool:
    from airflow_django.mail import send_incident

    try:
        send_incident(incident)
    except Exception:
        logger.exception("The operators could not be told: %s %s", incident.headline, incident.operation)
        return False
    return True


async def deadline_missed(
    *,
    context: Any,
    operation: str,
    summary: str,
    advice: str,
    finish_within_s: int,
    zone: str,
    interval: str,
) -> None:
    """
    Tell the operators that a run hasn't finished in time; a deadline's callback, run by the triggerer.

    Looks before it tells: a run that has ended meanwhile, or a backfill, is no news.
    """
    try:
        run = context["dag_run"]
        if run["run_type"] == "backfill" or run["state"] in {"success", "failed"}:
            return
        incident = Incident(
            headline="SLA missed",
            operation=operation,
            summary=summary,
            run_id=run["dag_run_id"],
            period=period_of(run=run, zone=zone, interval=interval),
            cause=f"The run has not finished within {_span(finish_within_s)}; it is {run['state']}.",
            advice=advice,
            fingerprint=f"deadline {context['deadline']['id']}",
        )
        await asyncio.wait_for(asyncio.to_thread(_told, incident), LONGEST_SENDING_S)
    except Exception:
        logger.exception("The callback of a missed deadline failed itself.")


def _span(seconds: int) -> str:
    for size, unit in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError(seconds)
