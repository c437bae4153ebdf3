"""Run any Django project's management commands from Airflow, on time and with someone told when not."""

from airflow_django.catalogue import Operation, load_operation
from airflow_django.dag import common_params, dag_arguments, month_param, schedule_of, task_arguments
from airflow_django.operator import DjangoCommandOperator

__all__ = [
    "DjangoCommandOperator",
    "Operation",
    "common_params",
    "dag_arguments",
    "load_operation",
    "month_param",
    "schedule_of",
    "task_arguments",
]
