"""Every operation of the catalogue's first run: once through Airflow, waited for, shown as a table."""

import time
import tomllib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from deploy.embedded.airflow_api import FINAL, AirflowApi
from deploy.embedded.environment import environment
from deploy.embedded.progress import say
from deploy.embedded.stack import Stack, StackError

# Unpausing makes a run of a DAG whose last scheduled instant has passed; the scheduler needs a moment.
RUN_APPEARS_S = 12
RUN_ENDS_S = 180
LONGEST_CAUSE = 160


def catalogue(stack: Stack) -> dict[str, Any]:
    """The catalogue as the stack's processes see it."""
    return tomllib.loads(Path(environment(stack)["AIRFLOW_DJANGO_CATALOGUE"]).read_text())


def set_pools(stack: Stack, api: AirflowApi) -> None:
    """Import the catalogue's pools: a task whose pool is missing waits for ever, silently."""
    for name, pool in catalogue(stack)["pools"].items():
        api.set_pool(name, pool["slots"], pool["description"])


def wait_for_dags(stack: Stack, api: AirflowApi, *, seconds: float = 90) -> None:
    """
    Wait until every operation's DAG is parsed.

    :raises StackError: one isn't; broken files are named.
    """
    wanted, end = set(catalogue(stack)["operations"]), time.monotonic() + seconds
    while missing := wanted - set(api.dags()):
        if time.monotonic() > end:
            errors = "; ".join(api.import_errors()) or f"see {stack.logs}/dag-processor.log"
            raise StackError(f"DAGs that don't appear: {', '.join(sorted(missing))} ({errors})")
        time.sleep(1)


def unpause(api: AirflowApi, names: Iterable[str]) -> None:
    """Unpause the operations' DAGs: a paused one keeps its runs waiting for ever, silently."""
    known = api.dags()
    for name in names:
        if known[name]["is_paused"]:
            api.unpause(name)


def run_each_once(stack: Stack, api: AirflowApi) -> bool:
    """
    Make sure that each first-run operation has a run, wait for all, and print the table.

    :returns: whether all succeeded.
    """
    say("running each operation once through Airflow")
    names = [name for name, table in catalogue(stack)["operations"].items() if table.get("first_run")]
    # Only these: the others' first scheduled runs would do part of their work.
    unpause(api, names)
    runs = _appeared(api, names)
    for name in names:
        if name not in runs:
            runs[name] = api.trigger(name, f"first_run__{datetime.now().astimezone():%Y-%m-%dT%H-%M-%S}")
    _wait(api, runs)
    succeeded = sum(bool(run["state"] == "success") for run in runs.values())
    print_table([_row(stack, api, name, run) for name, run in runs.items()])
    say(f"operations: {len(runs)} run, {succeeded} succeeded", last=True)
    return succeeded == len(runs)


def _appeared(api: AirflowApi, names: list[str]) -> dict[str, Any]:
    end = time.monotonic() + RUN_APPEARS_S
    while True:
        runs = {name: run for name in names if (run := api.last_run(name))}
        if len(runs) == len(names) or time.monotonic() > end:
            return runs
        time.sleep(1)


def _wait(api: AirflowApi, runs: dict[str, Any]) -> None:
    end, told = time.monotonic() + RUN_ENDS_S, set()
    while time.monotonic() < end:
        for name, run in runs.items():
            if run["state"] not in FINAL:
                runs[name] = run = api.last_run(name) or run
            if run["state"] in FINAL and name not in told:
                told.add(name)
                say(f"{name}: {run['state']}")
        if len(told) == len(runs):
            return
        time.sleep(1)


def _row(stack: Stack, api: AirflowApi, name: str, run: dict[str, Any]) -> tuple[str, ...]:
    seconds = f"{run['duration']:.1f}" if run.get("duration") is not None else "-"
    if run["state"] != "success":
        cause = api.cause(name, run["dag_run_id"]) or "not finished"
        figures = f"{cause[:LONGEST_CAUSE]} (see {stack.var}/airflow/logs/dag_id={name})"
    else:
        report = api.result(name, run["dag_run_id"]).get("report", {})
        wanted = catalogue(stack)["operations"][name]["figures"]
        figures = ", ".join(f"{key} {report.get(key)}" for key in wanted)
    return name, run["dag_run_id"][:40], run["state"], seconds, figures


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows under their heads, columns aligned."""
    table = [("operation", "run", "state", "seconds", "figures"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    print()
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
