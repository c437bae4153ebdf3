"""Each operation is triggered from the command line, with and without conf; bad conf is refused."""

import json
import subprocess
import sys

import pytest

from tests.e2e.stack import ROOT, RunningStack

OPERATIONS = [
    "close_expired_sessions",
    "verify_audit_trail",
    "send_payment_reminders",
    "reconciliation_reminder",
    "generate_commission_report",
    "send_outbox",
]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_triggered_without_conf_it_succeeds_and_is_in_the_ledger(stack: RunningStack, operation: str) -> None:
    stack.trigger(operation, f"plain-{operation}")

    run = stack.finished(operation, f"plain-{operation}")

    assert run["state"] == "success"
    (row,) = stack.sql(
        "SELECT * FROM operations_operationrun WHERE operation = %s AND dag_run_id = %s",
        operation,
        f"plain-{operation}",
    )
    assert (row["state"], row["exit_code"], row["dry_run"]) == ("succeeded", 0, False)
    assert stack.result(operation, f"plain-{operation}")["run"] == row["id"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_triggered_with_conf_it_is_a_dry_run_of_that_instant(stack: RunningStack, operation: str) -> None:
    conf: dict[str, object] = {"dry_run": True, "as_of": "2026-10-05T12:00:00+03:00"}
    if operation == "generate_commission_report":
        conf["month"] = "2026-09"

    stack.trigger(operation, f"dry-{operation}", conf)

    assert stack.finished(operation, f"dry-{operation}")["state"] == "success"
    result = stack.result(operation, f"dry-{operation}")
    assert result["dry_run"] is True
    assert result["as_of"].startswith("2026-10-05T")


def test_a_month_in_conf_is_the_reported_month(stack: RunningStack) -> None:
    stack.trigger("generate_commission_report", "february", {"month": "2026-02"})

    assert stack.finished("generate_commission_report", "february")["state"] == "success"
    assert stack.result("generate_commission_report", "february")["report"]["month"] == "2026-02"


@pytest.mark.parametrize(
    ("operation", "conf", "field"),
    [
        ("generate_commission_report", {"month": "2026-13"}, "month"),
        ("generate_commission_report", {"month": "../../etc/passwd"}, "month"),
        ("generate_commission_report", {"month": "2026-03\n"}, "month"),
        ("generate_commission_report", {"month": 202603}, "month"),
        ("close_expired_sessions", {"dry_run": "perhaps"}, "dry_run"),
        ("verify_audit_trail", {"as_of": "yesterday"}, "as_of"),
    ],
)
def test_malformed_conf_is_refused_and_the_field_named(
    stack: RunningStack, operation: str, conf: dict[str, object], field: str
) -> None:
    refused = stack.airflow(
        "dags",
        "trigger",
        operation,
        "--run-id",
        f"bad-{operation}-{field}",
        "--conf",
        json.dumps(conf),
        check=False,
    )

    assert refused.returncode != 0
    assert field in refused.stdout + refused.stderr
    assert (
        stack.sql("SELECT 1 FROM operations_operationrun WHERE dag_run_id = %s", f"bad-{operation}-{field}")
        == []
    )


def test_an_unknown_key_is_refused_in_the_task_before_anything_is_written(stack: RunningStack) -> None:
    stack.trigger("close_expired_sessions", "unknown-key", {"dryrun": True})

    assert stack.finished("close_expired_sessions", "unknown-key")["state"] == "failed"
    assert stack.task("close_expired_sessions", "unknown-key")["try_number"] == 1
    assert stack.sql("SELECT 1 FROM operations_operationrun WHERE dag_run_id = 'unknown-key'") == []
    (mail,) = stack.mails_about("FAILED", "close_expired_sessions", "unknown-key")
    assert "dryrun" in str(mail)


def test_redis_is_reached_through_the_hook(stack: RunningStack) -> None:
    program = (
        "from airflow.providers.redis.hooks.redis import RedisHook;"
        "print(RedisHook(redis_conn_id='redis_default').get_conn().ping())"
    )

    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert run.stdout.splitlines()[-1:] == ["True"], run.stderr


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_dag_page_has_its_documentation(stack: RunningStack, operation: str) -> None:
    details = stack.api("GET", f"/api/v2/dags/{operation}/details")

    for section in ("Command", "Writes", "Safe to re-run", "When it fails"):
        assert section in details["doc_md"]
    assert details["is_paused"] is False


def test_no_dag_file_has_an_import_error(stack: RunningStack) -> None:
    assert stack.api("GET", "/api/v2/importErrors")["import_errors"] == []
