"""Print what every DAG file makes, as JSON; run by the tests in a process of its own."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk import DAG

_made: list[Any] = []
_enter = DAG.__enter__


def _remembered(dag: Any) -> Any:
    _made.append(dag)
    return _enter(dag)


def describe(file: Path) -> list[dict[str, Any]]:
    """Execute a DAG file and describe the DAGs it made."""
    _made.clear()
    spec = importlib.util.spec_from_file_location(f"dag_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return [{**_dag(dag), **_task(dag.tasks[0], dag)} for dag in _made if len(dag.tasks) == 1]


def _dag(dag: Any) -> dict[str, Any]:
    deadline = dag.deadline[0] if isinstance(dag.deadline, list) else dag.deadline
    callback = deadline.callback
    return {
        "dag_id": dag.dag_id,
        "doc_md": dag.doc_md,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "start_date": dag.start_date.astimezone(ZoneInfo(str(dag.timetable.timezone))).isoformat(),
        "schedule": type(dag.timetable).__name__,
        "run_types": sorted(each.value for each in dag.allowed_run_types),
        "on_failure": _names(dag.on_failure_callback),
        "deadline": [
            type(deadline.reference).__name__,
            deadline.interval.total_seconds(),
            callback.path,
            type(callback).__name__,
        ],
        "params": {name: dag.params.get_param(name).schema for name in dag.params},
    }


def _task(task: Any, dag: Any) -> dict[str, Any]:
    from_run = [each for each in (task.scheduled_option, task.interval_option) if each]
    return {
        "task_id": task.task_id,
        "command": task.command,
        "options": sorted({*task.options, *dag.params, *from_run}),
        "owner": task.owner,
        "retries": task.retries,
        "backoff": task.retry_exponential_backoff,
        "retry_delay": task.retry_delay.total_seconds(),
        "max_retry_delay": task.max_retry_delay.total_seconds(),
        "execution_timeout": task.execution_timeout.total_seconds(),
        "pool": task.pool,
        "queue": task.queue,
        "weight": task.priority_weight,
        "one_at_a_time": task.max_active_tis_per_dag,
        "task_on_failure": _names(task.on_failure_callback),
        "has_retry_policy": task.retry_policy is not None,
    }


def _names(callbacks: Any) -> list[str]:
    return [each.__name__ for each in (callbacks if isinstance(callbacks, list) else [callbacks])]


if __name__ == "__main__":
    DAG.__enter__ = _remembered
    found = {file.stem: describe(file) for file in sorted(Path("dags").glob("*.py"))}
    heavy = [name for name in ("django", "psycopg2", "psycopg", "redis") if name in sys.modules]
    print(json.dumps({"dags": found, "imported": heavy}))
