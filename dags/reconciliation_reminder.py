"""
Every morning at 08:15, after the 08:00 closing, agents are reminded of every closed session that nobody has
reconciled, and supervisors get one list of those older than 3 days.

## Command
`manage.py reconciliation_reminder [--as-of INSTANT] [--dry-run]`

## Writes
Mails to agents and supervisors.

## Safe to re-run
Yes: an agent gets one mail a day, and so do the supervisors.

## When it fails
Nothing is lost: the mails wait in the outbox. If the database or the relay was away, clear the task when it
is back; on the next day everything that is still open is reminded anyway.
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
