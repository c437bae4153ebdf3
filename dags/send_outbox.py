"""
Every 15 minutes between 07:00 and 20:00 the mails that wait are sent, the most urgent first, within the
relay's hourly budget.

## Command
`manage.py send_outbox [--as-of INSTANT] [--dry-run]`

## Writes
Mails: their state, and the mails themselves.

## Safe to re-run
Yes: one sender at a time, each mail claimed before it is sent.

## When it fails
The mail relay is away or refuses us: mails wait and nothing is lost. Look at the relay; the next quarter of
an hour goes on by itself.
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
