"""
On the 1st at 09:00 the agents' commissions of the month before are reported. A run covers one calendar
month; missed months are made good by a backfill, or one by one with `month` in the conf.

## Command
`manage.py generate_commission_report --month YYYY-MM [--as-of INSTANT] [--dry-run]`

## Writes
The month's report (a new revision only when figures differ), its file, an audit entry, a mail to finance.

## Safe to re-run
Yes: the same figures make nothing new and mail nobody.

## When it fails
If the audit trail has a finding, the report is withheld until a person has resolved it: see
`verify_audit_trail`. A month that isn't over is refused. Otherwise mend the cause and clear the task.
"""

from airflow.sdk import DAG

from airflow_django import (
    DjangoCommandOperator,
    common_params,
    dag_arguments,
    load_operation,
    month_param,
    schedule_of,
    task_arguments,
)

operation = load_operation(__file__)

with DAG(
    **dag_arguments(operation, doc=__doc__),
    schedule=schedule_of(operation),
    catchup=False,
    max_active_runs=1,
    params={"month": month_param(), **common_params()},
):
    DjangoCommandOperator(**task_arguments(operation))
