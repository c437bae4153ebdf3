"""What every operation's DAG has in common, made from the catalogue."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import CronDataIntervalTimetable, CronTriggerTimetable, Param
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from airflow_django import callbacks
from airflow_django.catalogue import Operation
from airflow_django.deadline import RunAfterDeadline
from airflow_django.outcome import retry_policy

# `$` also matches before a final newline; the look-ahead forbids it.
INSTANT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$(?!\n)"
MONTH = r"^[0-9]{4}-(0[1-9]|1[0-2])$(?!\n)"
RETRY_FACTOR = 2.0
# Airflow checks each param's schema half a dozen times a parse; against this draft's small meta-schema
# that takes a sixth of the time that the newest draft's takes. Its keywords are all that we need.
SCHEMA = {"$schema": "http://json-schema.org/draft-03/schema#"}


def common_params() -> dict[str, Param]:
    """The params of every operation: ``as_of`` and ``dry_run``."""
    return {
        "as_of": Param(
            None,
            type=["null", "string"],
            pattern=INSTANT,
            maxLength=32,
            title="As of",
            description="Select what is due then: ISO 8601 with offset; empty: the scheduled instant.",
            **SCHEMA,
        ),
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Do all of it, then take it back; nothing is sent.",
            **SCHEMA,
        ),
    }


def month_param() -> Param:
    """A calendar month, ``YYYY-MM``."""
    return Param(
        None,
        type=["null", "string"],
        pattern=MONTH,
        maxLength=7,
        title="Month",
        description="YYYY-MM; empty: the month of the run's data interval, else the month before.",
        **SCHEMA,
    )


def dag_arguments(operation: Operation, *, doc: str | None) -> dict[str, Any]:
    """
    Everything of ``DAG()`` that the catalogue decides.

    :param doc: the DAG file's docstring, the operation's page; mails quote its "When it fails".
    """
    told = {
        "operation": operation.name,
        "summary": operation.summary,
        "advice": callbacks.advice_of(doc),
        "finish_within_s": int(operation.finish_within.total_seconds()),
        "zone": operation.timezone,
        "interval": operation.interval,
    }
    return {
        "dag_id": operation.name,
        "description": operation.summary,
        "doc_md": doc,
        "start_date": datetime.combine(
            operation.start_date, datetime.min.time(), tzinfo=ZoneInfo(operation.timezone)
        ),
        "allowed_run_types": _run_types(operation),
        "tags": [operation.owner, operation.pool],
        "on_failure_callback": callbacks.dag_failed,
        "deadline": DeadlineAlert(
            reference=RunAfterDeadline(),
            interval=operation.finish_within,
            callback=AsyncCallback(callbacks.deadline_missed, kwargs=told),
            name="finish_within",
        ),
    }


def schedule_of(operation: Operation) -> CronTriggerTimetable | CronDataIntervalTimetable:
    """The operation's timetable: an instant, or the interval before it where a run covers one."""
    timetable = CronDataIntervalTimetable if operation.interval else CronTriggerTimetable
    return timetable(operation.schedule, timezone=operation.timezone)


def _run_types(operation: Operation) -> list[str]:
    # Who may trigger by hand may also let another DAG do it.
    more = ["operator_triggered"] if "manual" in operation.run_types else []
    return [*operation.run_types, *more]


def task_arguments(operation: Operation) -> dict[str, Any]:
    """Everything of the operator that the catalogue decides: retries, pool, time-out, callback."""
    interval = {"interval_option": operation.interval, "interval_timezone": operation.timezone}
    return {
        "task_id": operation.name,
        "owner": operation.owner,
        "scheduled_option": "as_of",
        **(interval if operation.interval else {}),
        "retries": operation.retries,
        "retry_delay": operation.retry_delay,
        "retry_exponential_backoff": RETRY_FACTOR,
        "max_retry_delay": operation.max_retry_delay,
        "retry_policy": retry_policy(),
        "execution_timeout": operation.execution_timeout,
        "pool": operation.pool,
        "queue": operation.queue,
        "priority_weight": operation.weight,
        "max_active_tis_per_dag": 1,
        "on_failure_callback": callbacks.task_failed,
    }
