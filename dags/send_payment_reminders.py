"""
Every morning at 08:00 the reminders due today are planned, one mail for each owner, and as many are sent as
the relay's hourly budget allows. `send_outbox` sends the rest.

## Command
`manage.py send_payment_reminders [--as-of INSTANT] [--dry-run]`

## Writes
Reminders (once for each vehicle, year and stage), mails in the outbox, and the mails themselves.

## Safe to re-run
Yes: what is planned stays planned once, what is sent is not sent again.

## When it fails
Nothing is lost: planned mails wait in the outbox. If the mail relay was away, clear the task when it is
back, or let `send_outbox` do it. If rows were left out, the log names them.
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
