"""The command contract: exit codes, one JSON line, the lock, the ledger (each by a real process)."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from operations.models import OperationRun
from operations.outcomes import too_many_bad_rows
from operations.services import run_lock
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


def test_a_missing_setting_is_named() -> None:
    run = _close(TAXOPS_AUDIT_ORIGIN="")

    assert run.returncode != 0
    assert "TAXOPS_AUDIT_ORIGIN" in run.stderr


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
    assert (_close().returncode, OperationRun.objects.count()) == (0, 2)
    expired.refresh_from_db()
    assert expired.status == "closed"


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


def test_interrupted_by_sigterm_or_ctrl_c_nothing_stays_half_done(expired: CashSession) -> None:
    process = subprocess.Popen(
        [sys.executable, MANAGE, "close_expired_sessions", f"--as-of={NOON.isoformat()}"],
        env=_environment(TAXOPS_FAILPOINTS="payments.close.before_commit=sleep:30"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for row in _until_running():
        assert row.state == "running"
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)

    expired.refresh_from_db()
    row = OperationRun.objects.get()
    assert (expired.status, row.state) == ("open", "failed")
    assert "KeyboardInterrupt" in row.error


def _until_running() -> Iterator[OperationRun]:
    end = time.monotonic() + 20
    while not (found := OperationRun.objects.first()):
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(0.5)
    yield found


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
