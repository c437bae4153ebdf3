"""What holds for every DAG: its name, its page, its patience, and that somebody is told."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class

from operations.commands import OperationCommand

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = tomllib.loads((ROOT / "include/operations.toml").read_text())
OPERATIONS: dict[str, Any] = CATALOGUE["operations"]
NAMES = sorted(OPERATIONS)


@pytest.fixture
def dag(parsed: dict[str, Any], name: str) -> dict[str, Any]:
    (only,) = parsed["dags"][name]
    found: dict[str, Any] = only
    return found


def _seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def test_catalogue_dag_files_and_commands_are_the_same_names() -> None:
    files = sorted(file.stem for file in (ROOT / "dags").glob("*.py"))
    commands = sorted(
        name
        for name, app in get_commands().items()
        if (ROOT / "include/django_app" / str(app)).is_dir()
        and isinstance(load_command_class(str(app), name), OperationCommand)
    )

    assert files == NAMES
    assert commands == NAMES


def test_parsing_imports_no_django_and_opens_no_database(parsed: dict[str, Any]) -> None:
    assert parsed["imported"] == []


@pytest.mark.parametrize("name", NAMES)
def test_dag_task_and_command_have_the_name_of_the_file(dag: dict[str, Any], name: str) -> None:
    assert (dag["dag_id"], dag["task_id"], dag["command"]) == (name, name, name)


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_short_and_writes_out_what_surprises(name: str) -> None:
    source = (ROOT / "dags" / f"{name}.py").read_text()

    assert len(source.splitlines()) <= 40
    for written in ("catchup=False", "max_active_runs=1", "schedule="):
        assert written in source
    assert "django" not in {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import)
        for alias in node.names
    }


@pytest.mark.parametrize("name", NAMES)
def test_its_page_is_complete(dag: dict[str, Any], name: str) -> None:
    sections = re.split(r"(?m)^## ", dag["doc_md"])

    assert len(sections[0].split()) >= 10
    assert [section.splitlines()[0] for section in sections[1:]] == [
        "Command",
        "Writes",
        "Safe to re-run",
        "When it fails",
    ]
    assert f"manage.py {name}" in sections[1]
    assert all(len(section.split()) > 5 for section in sections[1:])


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_at_a_fixed_date_in_local_time(dag: dict[str, Any], name: str) -> None:
    assert dag["start_date"].startswith(f"{CATALOGUE['start_date']}T00:00:00")
    assert dag["start_date"].endswith("+03:00")
    assert (dag["catchup"], dag["max_active_runs"], dag["one_at_a_time"]) == (False, 1, 1)
    monthly = OPERATIONS[name].get("interval") == "month"
    assert dag["schedule"] == ("CronDataIntervalTimetable" if monthly else "CronTriggerTimetable")


@pytest.mark.parametrize("name", NAMES)
def test_it_retries_with_back_off_and_gives_up_on_what_needs_a_person(dag: dict[str, Any], name: str) -> None:
    wanted = OPERATIONS[name]

    assert dag["retries"] == wanted["retries"] >= 2
    assert dag["backoff"] == 2.0
    assert dag["backoff"] is not True
    assert dag["retry_delay"] == _seconds(wanted["retry_delay"])
    assert dag["max_retry_delay"] == _seconds(wanted["max_retry_delay"])
    assert (
        dag["execution_timeout"] == _seconds(wanted["execution_timeout"]) <= _seconds(wanted["finish_within"])
    )
    assert dag["has_retry_policy"]


@pytest.mark.parametrize("name", NAMES)
def test_somebody_is_told_of_failures_and_missed_deadlines(dag: dict[str, Any], name: str) -> None:
    assert dag["task_on_failure"] == ["task_failed"]
    assert dag["on_failure"] == ["dag_failed"]
    assert dag["deadline"] == [
        "RunAfterDeadline",
        _seconds(OPERATIONS[name]["finish_within"]),
        "airflow_django.callbacks.deadline_missed",
        "AsyncCallback",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_it_has_an_owner_and_a_pool_that_exists(dag: dict[str, Any], name: str) -> None:
    wanted = OPERATIONS[name]

    assert dag["owner"] == wanted["owner"] != "airflow"
    assert dag["pool"] == wanted["pool"]
    assert dag["pool"] in CATALOGUE["pools"]
    assert (dag["queue"], dag["weight"]) == (wanted["queue"], wanted["weight"])


def test_a_bulk_mailing_never_takes_every_slot() -> None:
    assert CATALOGUE["pools"]["bulk"]["slots"] < 4


@pytest.mark.parametrize("name", NAMES)
def test_its_params_refuse_malformed_values(dag: dict[str, Any], name: str) -> None:
    assert {"as_of", "dry_run"} <= set(dag["params"])
    for schema in dag["params"].values():
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if "string" in kinds:
            assert schema["maxLength"] <= 32
            assert schema["pattern"].startswith("^")


@pytest.mark.parametrize("name", NAMES)
def test_every_option_passed_is_one_that_the_command_knows(dag: dict[str, Any], name: str) -> None:
    command = load_command_class(get_commands()[name], name)
    known = {
        option
        for action in command.create_parser("manage.py", name)._actions
        for option in action.option_strings
    }

    assert {f"--{option.replace('_', '-')}" for option in dag["options"]} <= known


@pytest.mark.parametrize("name", NAMES)
def test_only_the_report_may_be_backfilled(dag: dict[str, Any], name: str) -> None:
    backfill = {"backfill"} if name == "generate_commission_report" else set()

    assert set(dag["run_types"]) == {"scheduled", "manual", "operator_triggered"} | backfill


@pytest.mark.parametrize("name", NAMES)
def test_its_key_figures_are_in_its_report(name: str) -> None:
    report = {
        "close_expired_sessions": "payments.services.closing.ClosingReport",
        "verify_audit_trail": "audit.verification.AuditReport",
        "send_payment_reminders": "core.services.ReminderReport",
        "send_outbox": "outbox.reports.SendReport",
        "reconciliation_reminder": "payments.services.reconciling.ReconciliationReport",
        "generate_commission_report": "payments.services.commissions.CommissionOutcome",
    }[name]
    module, _, kind = report.rpartition(".")
    fields = getattr(__import__(module, fromlist=[kind]), kind).__dataclass_fields__

    assert set(OPERATIONS[name]["figures"]) <= set(fields)
