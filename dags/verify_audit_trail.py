"""
Every night the audit trail is verified from its first entry to its last: sequence, hash, link and time of
each, and that every business record has its entry and the other way round.

## Command
`manage.py verify_audit_trail --alert-on-tampering [--as-of INSTANT] [--dry-run]`

## Writes
Nothing but its ledger row.

## Safe to re-run
Yes, at any time; it reads one snapshot while others write.

## When it fails
A finding means that the data was changed outside the application. Don't repair anything: keep the database
as it is, tell the auditors, and look at the entries that the cause names. Commission reports of the months
concerned are withheld. If the trail could not be read (75), clear the task when the database is back.
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
    DjangoCommandOperator(**task_arguments(operation), options={"alert_on_tampering": True})
