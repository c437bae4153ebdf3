"""The commission report of a month (docs/domain.md §4)."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone as clock

from audit.models import AuditEntry
from audit.verification import verify_trail
from operations.models import OperationRun
from outbox.models import Mail
from payments.commission_files import cell
from payments.models import CashTransaction, CommissionReport
from payments.seed.services import demo_seed
from payments.services.commissions import commission_report, month_before
from payments.services.transactions import transaction_post, transaction_void
from tests import factories
from tests.database import contents
from tests.smtp import Relay, body

LOCAL = ZoneInfo("Indian/Antananarivo")
APRIL = datetime(2026, 4, 1, 9, 0, tzinfo=LOCAL)


@pytest.fixture(autouse=True)
def _own_reports_folder(settings, tmp_path: Path) -> None:
    settings.REPORTS_DIR = tmp_path / "reports"


def _posted(at: datetime, monkeypatch: pytest.MonkeyPatch, **agent: object) -> CashTransaction:
    """Post 30 000 Ar at an instant, by an agent of these values."""
    monkeypatch.setattr(clock, "now", lambda: at)
    try:
        session = factories.open_session(of=factories.agent(**agent))
        return transaction_post(
            session=session, vehicle=factories.vehicle(), fiscal_year=at.year, tendered=30_000, by="user:hery"
        )
    finally:
        monkeypatch.undo()


@pytest.mark.parametrize(
    ("at", "month"),
    [
        (datetime(2026, 4, 1, 0, 30, tzinfo=LOCAL), "2026-03"),
        (datetime(2026, 3, 31, 23, 59, tzinfo=LOCAL), "2026-02"),
        (datetime(2026, 1, 1, 1, 0, tzinfo=LOCAL), "2025-12"),
        (datetime(2024, 3, 1, 9, 0, tzinfo=LOCAL), "2024-02"),
    ],
)
def test_the_month_before_is_cut_in_local_time(at: datetime, month: str) -> None:
    assert month_before(at.astimezone(UTC)) == month


def test_the_first_and_last_microseconds_of_a_month_are_in_it(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in (
        datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=LOCAL),
        datetime(2026, 3, 1, 0, 0, tzinfo=LOCAL),
        datetime(2026, 3, 31, 23, 59, 59, 999_999, tzinfo=LOCAL),
        datetime(2026, 4, 1, 0, 0, tzinfo=LOCAL),
    ):
        _posted(at, monkeypatch)

    report = commission_report(month="2026-03", as_of=APRIL, dry_run=True)

    assert (report.transactions, report.tax, report.accrued) == (2, 60_000, 1_200)


@pytest.mark.parametrize("month", ["2026-13", "2026-00", "2026-3", "26-03", "2026-03\n", "../2026-03"])
def test_what_is_no_month_is_refused_with_64(db: None, month: str) -> None:
    with pytest.raises(CommandError, match="--month") as refused:
        call_command("generate_commission_report", f"--month={month}")

    assert refused.value.returncode == 64


def test_a_month_that_is_not_over_is_refused_until_its_last_instant_has_passed(db: None) -> None:
    end = datetime(2026, 4, 1, 0, 0, tzinfo=LOCAL)
    with pytest.raises(CommandError, match="2026-03 is not over") as refused:
        call_command(
            "generate_commission_report",
            "--month=2026-03",
            f"--as-of={(end - timedelta(microseconds=1)).isoformat()}",
        )

    assert refused.value.returncode == 64
    assert commission_report(month="2026-03", as_of=end, dry_run=True).transactions == 0


def test_cancelled_commissions_are_apart_and_in_no_total(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 3, 10, 9, tzinfo=LOCAL))
    session = factories.open_session()
    values = {"session": session, "fiscal_year": 2026, "tendered": 30_000, "by": "user:hery"}
    transaction_post(vehicle=factories.vehicle(), **values)
    voided = transaction_post(vehicle=factories.vehicle(), **values)
    transaction_void(posted=voided, by="user:vola", reason="wrong plate")
    monkeypatch.undo()

    report = commission_report(month="2026-03", as_of=APRIL, dry_run=True)

    assert (report.transactions, report.accrued, report.cancelled) == (1, 600, 600)


def test_each_transaction_is_rounded_by_itself_and_a_rate_of_nought_counts(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 3, 10, 9, tzinfo=LOCAL)
    _posted(at, monkeypatch, commission_rate=Decimal("0"))
    _posted(at, monkeypatch, commission_rate=Decimal("0.0175"))

    report = commission_report(month="2026-03", as_of=APRIL, dry_run=True)

    assert (report.agents, report.tax, report.accrued) == (2, 60_000, 525)


@pytest.mark.django_db(transaction=True)
def test_it_is_issued_once_with_file_entry_and_mail(
    relay: Relay, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _posted(datetime(2026, 3, 10, 9, tzinfo=LOCAL), monkeypatch, name="=cmd <b>Rabe</b>")

    for _ in range(2):
        call_command("generate_commission_report", "--month=2026-03", f"--as-of={APRIL.isoformat()}")

    stored = CommissionReport.objects.get()
    assert (stored.revision, stored.accrued, stored.changes) == (1, 600, [])
    assert AuditEntry.objects.filter(action="payments.report.issued").count() == 1
    (mail,) = relay.to("finance@revenue.example")
    assert "600\xa0Ar" in body(mail)
    assert "&lt;b&gt;Rabe&lt;/b&gt;" in body(mail, "html")
    assert "<b>Rabe" not in body(mail, "html")
    rows = list(
        csv.reader(
            io.StringIO((settings.REPORTS_DIR / stored.files["csv"]).read_text("utf-8-sig")), delimiter=";"
        )
    )
    assert rows[1][1] == "'=cmd <b>Rabe</b>"
    assert rows[-1][:5] == ["TOTAL", "", "1", "30000", "600"]
    assert [run.report["is_new"] for run in OperationRun.objects.order_by("id")] == [True, False]


@pytest.mark.django_db(transaction=True)
def test_other_figures_make_the_next_revision_which_says_what_changed(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    _posted(datetime(2026, 3, 10, 9, tzinfo=LOCAL), monkeypatch)
    commission_report(month="2026-03", as_of=APRIL, dry_run=False)
    late = _posted(datetime(2026, 3, 11, 9, tzinfo=LOCAL), monkeypatch)

    report = commission_report(month="2026-03", as_of=APRIL, dry_run=False)

    assert (report.revision, report.is_new, report.accrued) == (2, True, 1_200)
    assert f"{late.agent.code}: accrued 0 -> 600" in report.changes
    assert [str(mail["Subject"]) for mail in relay.mails] == [
        "Commissions 2026-03",
        "Commissions 2026-03, révision 2",
    ]


@pytest.mark.django_db(transaction=True)
def test_a_dry_run_leaves_tables_and_folder_as_they_were(
    relay: Relay, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _posted(datetime(2026, 3, 10, 9, tzinfo=LOCAL), monkeypatch)
    before = contents(but=("operations.OperationRun",))

    call_command(
        "generate_commission_report", "--month=2026-03", f"--as-of={APRIL.isoformat()}", dry_run=True
    )

    assert contents(but=("operations.OperationRun",)) == before
    assert not settings.REPORTS_DIR.exists()
    assert relay.mails == []
    assert OperationRun.objects.get().report["accrued"] == 600


@pytest.mark.django_db(transaction=True)
def test_with_the_relay_down_the_report_stands_and_the_mail_waits(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay.stop()

    report = commission_report(month="2026-03", as_of=APRIL, dry_run=False)

    assert "waits in the outbox" in report.warnings[0]
    assert Mail.objects.get().state == "planned"


@pytest.mark.django_db(transaction=True)
def test_on_a_finding_it_is_withheld_and_the_withholding_recorded(relay: Relay) -> None:
    factories.open_session(opened_at=datetime(2026, 3, 1, 9, tzinfo=LOCAL))
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditentry DISABLE TRIGGER USER")
        # Into the month, and without a new hash: an entry of today would not concern March.
        cursor.execute("UPDATE audit_auditentry SET at_us = 1772600000000000 WHERE sequence = 1")
        cursor.execute("ALTER TABLE audit_auditentry ENABLE ALWAYS TRIGGER audit_entry_append_only")

    with pytest.raises(CommandError, match=r"withheld.*entry 1: hash") as withheld:
        call_command("generate_commission_report", "--month=2026-03", f"--as-of={APRIL.isoformat()}")

    assert withheld.value.returncode == 65
    assert CommissionReport.objects.count() == 0
    (entry,) = AuditEntry.objects.filter(action="payments.report.withheld")
    assert json.loads(entry.payload) == {"findings": 1, "month": "2026-03"}
    assert relay.mails == []


def test_a_disk_that_is_full_leaves_no_file_under_the_final_name(db: None, settings) -> None:
    settings.REPORTS_DIR.mkdir(parents=True)
    (settings.REPORTS_DIR / "2026-03").write_text("a file where the folder should be")

    with pytest.raises(CommandError) as failed:
        call_command("generate_commission_report", "--month=2026-03", f"--as-of={APRIL.isoformat()}")

    assert failed.value.returncode == 75
    assert CommissionReport.objects.count() == 0


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_what_a_spreadsheet_would_compute_is_text(text: str) -> None:
    assert cell(text) == f"'{text}"


def test_on_the_demo_data_it_equals_an_independent_sum_and_the_trail_is_sound(db: None) -> None:
    demo_seed(vehicles=400, agents=6, months=6, as_of=date(2026, 11, 24), seed=7)
    oracle = """
        SELECT count(*), sum(tax), sum(commission) FROM payments_cashtransaction WHERE status = 'posted'
        AND to_char(accrued_at AT TIME ZONE 'Indian/Antananarivo', 'YYYY-MM') = '2026-08'
    """

    report = commission_report(month="2026-08", as_of=datetime(2026, 11, 24, tzinfo=LOCAL), dry_run=True)

    with connection.cursor() as cursor:
        cursor.execute(oracle)
        assert (report.transactions, report.tax, report.accrued) == cursor.fetchone()
    assert report.accrued > 0
    assert verify_trail().findings == ()
