"""Missed months are made good from the command line, exactly once."""

from email.message import EmailMessage
from typing import Any

from tests.e2e.stack import RunningStack, wait_for

REPORT = "generate_commission_report"
MONTHS = ["2026-03", "2026-04", "2026-05", "2026-06"]

# Independent of the report's own query: the rounded commission of what was posted or approved in the
# local month and not voided, summed by the database.
ORACLE = """
    SELECT to_char(accrued_at AT TIME ZONE 'Indian/Antananarivo', 'YYYY-MM') AS month,
           count(*) AS transactions, sum(tax) AS tax, sum(commission) AS accrued
    FROM payments_cashtransaction
    WHERE status = 'posted'
    GROUP BY 1
"""


def _backfill(stack: RunningStack, *more: str) -> None:
    stack.airflow(
        "backfill",
        "create",
        "--dag-id",
        REPORT,
        "--from-date",
        "2026-03-01",
        "--to-date",
        "2026-06-30",
        *more,
    )
    wait_for("completed backfill", lambda: _completed(stack), seconds=240, every=1)


def _completed(stack: RunningStack) -> bool:
    backfills = stack.api("GET", f"/api/v2/backfills?dag_id={REPORT}")["backfills"]
    return bool(backfills) and all(each["completed_at"] for each in backfills)


def _backfill_runs(stack: RunningStack) -> list[dict[str, object]]:
    runs: list[dict[str, object]] = stack.api("GET", f"/api/v2/dags/{REPORT}/dagRuns?run_type=backfill")[
        "dag_runs"
    ]
    return [run for run in runs if str(run["data_interval_start"]) < "2026-07"]


def test_four_missed_months_are_reported_once_whatever_is_repeated(stack: RunningStack) -> None:
    _backfill(stack)

    runs = _backfill_runs(stack)
    assert [run["state"] for run in runs] == ["success"] * 4
    reports = _reports(stack)
    oracle = {row["month"]: row for row in stack.sql(ORACLE)}
    assert [(row["month"], row["revision"]) for row in reports] == [(month, 1) for month in MONTHS]
    for row in reports:
        expected = oracle[row["month"]]
        assert (row["transactions"], row["tax"], row["accrued"]) == (
            expected["transactions"],
            expected["tax"],
            expected["accrued"],
        )
        assert row["accrued"] > 0
    wait_for("four report mails", lambda: len(_report_mails(stack)) == 4, seconds=20)

    _backfill(stack, "--reprocess-behavior", "completed")

    assert len(_backfill_runs(stack)) == 4
    assert _ledger_rows(stack) == 8
    assert _reports(stack) == reports
    assert len(_report_mails(stack)) == 4
    assert stack.mails_about("SLA missed", REPORT) == []


def _reports(stack: RunningStack) -> list[dict[str, Any]]:
    return stack.sql(
        "SELECT month, revision, transactions, tax, accrued FROM payments_commissionreport "
        "WHERE month BETWEEN '2026-03' AND '2026-06' ORDER BY month"
    )


def _ledger_rows(stack: RunningStack) -> int:
    (row,) = stack.sql(
        "SELECT count(*) AS n FROM operations_operationrun "
        "WHERE operation = %s AND period BETWEEN '2026-03' AND '2026-06' AND state = 'succeeded'",
        REPORT,
    )
    return int(row["n"])


def _report_mails(stack: RunningStack) -> list[EmailMessage]:
    return [
        mail
        for mail in stack.mails_about("Commissions")
        if "finance" in str(mail["To"]) and any(month in str(mail["Subject"]) for month in MONTHS)
    ]
