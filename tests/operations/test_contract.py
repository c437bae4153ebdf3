"""The command contract: exit codes, one JSON line, the lock, the ledger (each by a real process)."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from audit.models import AuditEntry
from operations.models import OperationRun
from operations.outcomes import too_many_bad_rows
from operations.services import heartbeat, run_finish, run_lock, run_start
from payments.models import CashSession
from tests import factories
from tests.database import contents

pytestmark = pytest.mark.django_db(transaction=True)
MANAGE = Path(__file__).resolve().parents[2] / "include/django_app/manage.py"
NOON = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


def _environment(**more: str) -> dict[str, str]:
    """The tests' settings, on the tests' database rather than the one they are named after."""
    name = str(connection.settings_dict["NAME"])
    url = os.environ["TAXOPS_DATABASE_URL"].replace("/taxops?", f"/{name}?")
    return {**os.environ, "TAXOPS_DATABASE_URL": url, "TAXOPS_SMTP_URL": "smtp://127.0.0.1:9", **more}


def _manage(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, MANAGE, *arguments],
        env=_environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _line(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.fixture
def expired() -> CashSession:
    return factories.open_session(opened_at=NOON - timedelta(hours=20))


def _close(**more: str) -> subprocess.CompletedProcess[str]:
    return _manage("close_expired_sessions", f"--as-of={NOON.isoformat()}", **more)


def test_done_is_0_with_one_json_line_and_a_ledger_row(expired: CashSession) -> None:
    run = _close(USER="rakoto", AIRFLOW_CTX_DAG_RUN_ID="")

    assert run.returncode == 0, run.stderr
    line = _line(run)
    row = OperationRun.objects.get()
    assert (line["run"], line["operation"], line["report"]["closed"]) == (row.pk, "close_expired_sessions", 1)
    assert (row.state, row.exit_code, row.period) == ("succeeded", 0, "2026-03-10T12")
    assert (row.as_of, row.requested_by, row.dag_run_id) == (NOON, "hand:rakoto", "")
    assert row.started_at <= row.heartbeat_at == row.finished_at


def test_a_run_from_airflow_names_its_dag_run_and_try() -> None:
    _close(AIRFLOW_CTX_DAG_RUN_ID="scheduled__x", AIRFLOW_CTX_TRY_NUMBER="2")

    row = OperationRun.objects.get()
    assert (row.requested_by, row.dag_run_id, row.try_number) == ("airflow", "scheduled__x", 2)


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--as-of=yesterday", "--as-of"),
        ("--as-of=2026-03-10T09:00:00", "offset"),
        ("--as-of=2026-02-30T09:00:00Z", "--as-of"),
        ("--month=2026-03", "--month"),
    ],
)
def test_wrong_usage_is_64_names_the_field_and_writes_nothing(option: str, named: str) -> None:
    run = _manage("close_expired_sessions", option)

    assert run.returncode == 64
    assert named in run.stderr
    assert OperationRun.objects.count() == 0


def test_with_the_database_away_it_is_75() -> None:
    run = _close(TAXOPS_DATABASE_URL="postgresql://x@127.0.0.1:9/none")

    assert run.returncode == 75
    assert "database is not available" in _line(run)["error"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("TAXOPS_AUDIT_ORIGIN", ""),
        ("TAXOPS_DATABASE_URL", "mysql://x@127.0.0.1/none"),
        ("TAXOPS_MAIL_BUDGET_PER_HOUR", "many"),
    ],
)
def test_a_wrong_setting_is_78_and_named(setting: str, value: str) -> None:
    run = _close(**{setting: value})

    assert run.returncode == 78
    assert setting in run.stderr.splitlines()[-1]


def test_anything_else_is_1_with_the_traceback_for_people(expired: CashSession) -> None:
    run = _close(TAXOPS_FAILPOINTS="payments.close.after_batch=raise")

    assert run.returncode == 1
    assert "Traceback" in run.stderr
    row = OperationRun.objects.get()
    assert (row.state, row.exit_code, row.error) == ("failed", 1, "RuntimeError: failpoint")
    assert (_line(run)["exit_code"], _line(run)["error"]) == (1, "RuntimeError: failpoint")


def test_too_many_rows_left_out_are_65_and_named(expired: CashSession) -> None:
    run = _close(TAXOPS_FAILPOINTS="payments.close.before_commit=raise")

    assert run.returncode == 65
    row = OperationRun.objects.get()
    assert (row.state, row.exit_code) == ("failed", 65)
    assert row.report["bad_rows"] == [
        {"subject": f"payments.session:{expired.number}", "reason": "RuntimeError"}
    ]
    assert expired.number in _line(run)["error"]


def test_one_bad_row_in_two_hundred_is_a_warning() -> None:
    sessions = [factories.open_session(opened_at=NOON - timedelta(hours=20)) for _ in range(200)]

    # The batch fails, then the first session by itself; the other 199 are closed.
    spec = "payments.close.before_commit=raise*1 payments.close.before_commit=raise*2"
    run = _close(TAXOPS_FAILPOINTS=spec)

    assert run.returncode == 0, run.stderr
    report = OperationRun.objects.get().report
    assert (report["considered"], report["closed"], len(report["bad_rows"])) == (200, 199, 1)
    assert any(sessions[0].number in warning for warning in report["warnings"])


def test_without_anybody_to_send_the_report_to_it_is_78() -> None:
    run = _manage("generate_commission_report", "--month=2026-01", TAXOPS_FINANCE_RECIPIENTS="")

    assert run.returncode == 78
    assert "TAXOPS_FINANCE_RECIPIENTS" in _line(run)["error"]
    assert OperationRun.objects.get().exit_code == 78


def test_a_second_run_of_the_same_period_leaves_with_75(expired: CashSession) -> None:
    with run_lock(operation="close_expired_sessions", period="2026-03-10T12"):
        run = _close()

    assert run.returncode == 75
    assert "running elsewhere" in _line(run)["error"]
    expired.refresh_from_db()
    assert expired.status == "open"


def test_a_dropped_connection_is_75_rolled_back_and_made_good_by_the_next_run(expired: CashSession) -> None:
    run = _close(TAXOPS_FAILPOINTS="payments.close.before_commit=drop")

    assert run.returncode == 75
    expired.refresh_from_db()
    assert expired.status == "open"
    assert _close().returncode == 0
    expired.refresh_from_db()
    assert expired.status == "closed"
    outcomes = OperationRun.objects.order_by("id").values_list("state", "exit_code")
    assert list(outcomes) == [("failed", 75), ("succeeded", 0)]


@pytest.mark.parametrize(
    "failpoint", ["payments.close.before_commit", "payments.close.after_batch", "outbox.claimed"]
)
def test_killed_anywhere_and_run_again_it_ends_like_an_undisturbed_run(
    expired: CashSession, failpoint: str, relay: Any
) -> None:
    smtp = f"smtp://127.0.0.1:{relay.port}"

    killed = _close(TAXOPS_FAILPOINTS=f"{failpoint}=kill", TAXOPS_SMTP_URL=smtp)
    again = _close(TAXOPS_SMTP_URL=smtp)

    assert (killed.returncode, again.returncode) == (-signal.SIGKILL, 0)
    expired.refresh_from_db()
    assert (expired.status, expired.counted_balance) == ("closed", None)
    assert len(relay.mails) == 1
    states = OperationRun.objects.order_by("id").values_list("state", flat=True)
    assert list(states) == ["abandoned", "succeeded"]


@pytest.mark.parametrize(
    ("sent", "code", "named"),
    [(signal.SIGTERM, 75, "Terminated"), (signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt")],
)
@pytest.mark.parametrize("waits_for", ["python", "the database"])
def test_interrupted_nothing_stays_half_done_and_the_ledger_says_so(
    expired: CashSession, sent: signal.Signals, code: int, named: str, waits_for: str
) -> None:
    with transaction.atomic():
        if waits_for == "the database":
            CashSession.objects.select_for_update().get()
        process = subprocess.Popen(
            [sys.executable, MANAGE, "close_expired_sessions", f"--as-of={NOON.isoformat()}"],
            env=_environment(TAXOPS_FAILPOINTS="payments.close.before_commit=sleep:30"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _until(_RUNNING)
        _until(_WAITING if waits_for == "the database" else _IDLE)
        process.send_signal(sent)
        assert process.wait(timeout=20) == code

    expired.refresh_from_db()
    row = OperationRun.objects.get()
    assert (expired.status, row.state, row.exit_code) == ("open", "failed", 75)
    assert named in row.error


_RUNNING = "SELECT count(*) FROM operations_operationrun WHERE state = 'running'"
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
# In a transaction, and doing nothing: what the failpoint's sleep looks like from here.
_IDLE = (
    "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'idle in transaction'"
)


def _until(count: str) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(count)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.05)
    raise AssertionError(count)


def test_two_runs_at_once_close_a_session_once(expired: CashSession) -> None:
    slow = subprocess.Popen(
        [sys.executable, MANAGE, "close_expired_sessions", f"--as-of={NOON.isoformat()}"],
        env=_environment(TAXOPS_FAILPOINTS="payments.close.before_commit=sleep:4"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _until(_RUNNING)
    _until(_IDLE)

    same_hour = _close()
    next_hour = _manage("close_expired_sessions", f"--as-of={(NOON + timedelta(hours=1)).isoformat()}")

    assert (slow.wait(timeout=20), same_hour.returncode, next_hour.returncode) == (0, 75, 0)
    assert sorted(run.report["closed"] for run in OperationRun.objects.all()) == [0, 1]
    assert AuditEntry.objects.filter(action="payments.session.closed").count() == 1


def test_the_heartbeat_moves_while_the_work_lasts() -> None:
    with run_lock(operation="slow", period="2026-03-10"):
        run = run_start(operation="slow", period="2026-03-10", as_of=NOON, dry_run=False, options={})
        with heartbeat(run, every=timedelta(milliseconds=20)):
            _until(f"{_RUNNING} AND heartbeat_at > started_at")
        run_finish(run=run, exit_code=0, error="", report={})

    finished = OperationRun.objects.get()
    assert (finished.state, finished.heartbeat_at) == ("succeeded", finished.finished_at)


def test_a_row_that_is_closed_already_keeps_its_outcome() -> None:
    """A run that was taken for dead, and comes to its end after all."""
    dead = run_start(operation="slow", period="2026-03-10", as_of=NOON, dry_run=False, options={})
    run_start(operation="slow", period="2026-03-10", as_of=NOON, dry_run=False, options={})

    run_finish(run=dead, exit_code=0, error="", report={})

    dead.refresh_from_db()
    assert (dead.state, dead.exit_code) == ("abandoned", None)


@pytest.mark.parametrize(
    "operation",
    [
        "close_expired_sessions",
        "generate_commission_report",
        "reconciliation_reminder",
        "send_outbox",
        "send_payment_reminders",
        "verify_audit_trail",
    ],
)
def test_a_dry_run_leaves_every_table_as_it_was(operation: str, expired: CashSession) -> None:
    before = contents(but=("operations.OperationRun",))

    run = _manage(operation, "--dry-run", f"--as-of={NOON.isoformat()}")

    assert run.returncode == 0, run.stdout + run.stderr
    assert contents(but=("operations.OperationRun",)) == before
    assert OperationRun.objects.get().dry_run is True


@pytest.mark.parametrize(
    ("bad", "considered", "many"),
    [
        (1, 100, False),
        (2, 100, True),
        (100, 10_000, False),
        (101, 100_000, True),
        (1, 1, True),
        (0, 0, False),
    ],
)
def test_up_to_one_in_a_hundred_and_a_hundred_rows_are_warnings(
    bad: int, considered: int, many: bool
) -> None:
    assert too_many_bad_rows(bad=bad, considered=considered) is many
