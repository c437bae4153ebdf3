"""
Agents forget to close their tills. Every hour, a session open for more than 12 hours is closed by the
system: its expected balance is computed, the counted one stays unknown until a person counts.

## Command
`manage.py close_expired_sessions [--as-of INSTANT] [--dry-run]`

## Writes
Cash sessions (status, closing, expected balance), one audit entry each, one notice to each agent.

## Safe to re-run
Yes: a closed session is left alone, and an agent gets one notice for a session.

## When it fails
Read the log. A session named there could not be closed and needs a person; the others are closed. If
the database was away, clear the task once it is back. The next hour closes what this one left open.
"""

from airflow.sdk import DAG

from airflow_django import (
    DjangoCommandOperator,
    common_params,
    dag_arguments,
    load_operation,
    schedule_of,
    task_arguments,
)

operation = load_operation(__file__)

with DAG(
    **dag_arguments(operation, doc=__doc__),
    schedule=schedule_of(operation),
    catchup=False,
    max_active_runs=1,
    params=common_params(),
):
    DjangoCommandOperator(**task_arguments(operation))
