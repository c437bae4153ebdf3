"""Registers what Airflow has to know by name; the code is in the package ``airflow_django``."""

from airflow.plugins_manager import AirflowPlugin

from airflow_django.deadline import RunAfterDeadline


class AirflowDjangoPlugin(AirflowPlugin):
    name = "airflow_django"
    deadline_references = [RunAfterDeadline]
