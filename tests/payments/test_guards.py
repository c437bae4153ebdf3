"""What the database itself refuses about money, whoever asks, and what is found where it could not."""

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, connection, transaction

from audit.verification import verify_trail
from payments.models import CashSession, CashTransaction, CommissionReport
from payments.services.sessions import session_close, session_count, session_reconcile
from payments.services.transactions import transaction_approve, transaction_post, transaction_void
from tests import factories

pytestmark = pytest.mark.django_db
TRANSACTION = "UPDATE payments_cashtransaction SET "
SESSION = "UPDATE payments_cashsession SET "


def _post(*, large: bool = False) -> CashTransaction:
    return transaction_post(
        session=factories.open_session(),
        vehicle=factories.aircraft() if large else factories.vehicle(),
        fiscal_year=2026,
        tendered=2_000_000,
        by="user:hery",
    )


def _try(statement: str) -> None:
    """Run it as a transaction of its own would: what is checked at its end is checked."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def _decision(of: CashTransaction, kind: str) -> str:
    return (
        "INSERT INTO payments_transactiondecision (transaction_id, kind, decided_at, decided_by, reason)"  # noqa: S608
        f" VALUES ({of.pk}, '{kind}', now(), 'user:x', 'x')"
    )


@pytest.mark.parametrize(
    "change",
    [
        "number = 'CASH-20260101-999999'", "plate = 'X'", "fiscal_year = 2025", "tax = tax + 1",
        "tendered = tendered + 1", "change = change + 1", "posted_at = now()", "posted_by = 'user:x'",
        "accrued_at = accrued_at + interval '1 month'", "accrued_at = NULL", "commission_rate = 0.5",
        "commission = 0", "agent_id = NULL", "session_id = 0", "payment_id = 0",
    ],
)  # fmt: skip
def test_amounts_parties_and_times_of_a_transaction_never_change(change: str) -> None:
    _post()

    with pytest.raises(DatabaseError, match="never change"):
        _try(TRANSACTION + change)


def test_every_column_of_a_transaction_is_guarded_or_moves_by_a_rule() -> None:
    """A column added later must be named in the guard, or here with what moves it."""
    moves = {"id", "status", "accrued_at", "commission_paid_at"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'cash_transaction_is_fixed'")
        guard = cursor.fetchone()[0]

    columns = {field.column for field in CashTransaction._meta.concrete_fields}

    assert {column for column in columns if f"NEW.{column}" not in guard} <= moves


@pytest.mark.parametrize("status", ["voided", "rejected", "pending"])
def test_a_status_moves_only_with_its_decision(status: str) -> None:
    _post()

    with pytest.raises(DatabaseError, match=r"only with a decision|never goes"):
        _try(f"{TRANSACTION} status = '{status}'")


def test_a_large_payment_is_not_approved_without_a_decision() -> None:
    _post(large=True)

    with pytest.raises(DatabaseError, match="only with a decision"):
        _try(f"{TRANSACTION} status = 'posted', accrued_at = posted_at")


def test_a_voided_payment_never_comes_back_even_if_it_was_approved_once() -> None:
    posted = transaction_approve(posted=_post(large=True), by="user:vola", reason="seen")
    transaction_void(posted=posted, by="user:vola", reason="wrong plate")

    with pytest.raises(DatabaseError, match="never goes from voided to posted"):
        _try(f"{TRANSACTION} status = 'posted'")


def test_a_commission_does_not_count_before_the_approval() -> None:
    _post(large=True)

    with pytest.raises(DatabaseError, match="never change"):
        _try(f"{TRANSACTION} accrued_at = now()")


@pytest.mark.parametrize("kind", ["rejected", "voided"])
def test_a_decision_moves_the_status_in_its_own_transaction(kind: str) -> None:
    posted = _post()

    with pytest.raises(DatabaseError, match="a decision moves the status"):
        _try(_decision(posted, kind))


def test_a_payment_does_not_begin_as_voided() -> None:
    _post()
    columns = [field.column for field in CashTransaction._meta.concrete_fields if field.column != "id"]
    new = {"number": "'CASH-20260101-000009'", "payment_id": "%(payment)s", "status": "'voided'"}
    values = ", ".join(new.get(column, column) for column in columns)
    payment = factories.paid(factories.vehicle(), 2026).pk

    with pytest.raises(DatabaseError, match="only with a decision"):
        _try(
            f"INSERT INTO payments_cashtransaction ({', '.join(columns)})"  # noqa: S608
            f" SELECT {values % {'payment': payment}} FROM payments_cashtransaction"
        )


def test_a_commission_is_not_unpaid_again() -> None:
    _post()
    _try(f"{TRANSACTION} commission_paid_at = now()")

    with pytest.raises(DatabaseError, match="never change"):
        _try(f"{TRANSACTION} commission_paid_at = NULL")


def _reconciled() -> CashSession:
    session = session_close(session=factories.open_session(), by="user:hery")
    session_count(session=session, counted_balance=50_000, by="user:hery")
    return session_reconcile(session=session, by="user:vola", reason="seen", supervisor=True)


@pytest.mark.parametrize(
    "change",
    [
        "opening_float = 0", "agent_id = 0", "number = 'SESS-20260101-999999'", "opened_at = now()",
        "closed_at = now()", "closed_by = 'system'", "expected_balance = 0, variance = 50000",
        "counted_balance = 49000, variance = -1000", "counted_at = now()", "counted_by = 'user:x'",
        "reconciled_at = now()", "reconciled_by = 'user:x'", "status = 'closed'",
        "status = 'open', closed_at = NULL, expected_balance = NULL",
    ],
)  # fmt: skip
def test_what_was_recorded_of_a_session_never_changes(change: str) -> None:
    _reconciled()

    with pytest.raises(DatabaseError, match="never changes"):
        _try(SESSION + change)


def test_a_session_is_not_reconciled_before_it_is_closed() -> None:
    factories.open_session()

    with pytest.raises(DatabaseError, match="never changes"):
        _try(
            f"{SESSION} status = 'reconciled', closed_at = now(), expected_balance = 0, counted_balance = 0,"
            " variance = 0, counted_at = now(), reconciled_at = now()"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM payments_cashtransaction",
        "DELETE FROM payments_transactiondecision",
        "UPDATE payments_transactiondecision SET reason = 'x'",
        "DELETE FROM payments_commissionreport",
        "UPDATE payments_commissionreport SET accrued = 1",
    ],
)
def test_records_of_money_are_never_deleted_and_decisions_and_reports_never_changed(statement: str) -> None:
    transaction_void(posted=_post(), by="user:vola", reason="wrong plate")
    CommissionReport.objects.create(
        month="2026-01", revision=1, transactions=0, tax=0, accrued=0, pending=0, paid=0, cancelled=0,
        figures={}, fingerprint="", as_of=datetime(2026, 2, 1, tzinfo=UTC),
        issued_at=datetime(2026, 2, 1, tzinfo=UTC),
    )  # fmt: skip

    with pytest.raises(DatabaseError, match="never"):
        _try(statement)


def test_sessions_are_never_deleted() -> None:
    factories.open_session()

    with pytest.raises(DatabaseError, match="never changed nor deleted"):
        _try("DELETE FROM payments_cashsession")


@pytest.mark.parametrize(
    ("large", "change", "kind"),
    [
        (False, f"{TRANSACTION} status = 'voided'", "status-differs"),
        (True, f"{TRANSACTION} status = 'posted', accrued_at = posted_at", "status-differs"),
        (False, f"{TRANSACTION} accrued_at = accrued_at - interval '1 month'", "accrual-differs"),
        (False, "UPDATE core_taxpayment SET status = 'cancelled'", "payment-differs"),
        (False, "UPDATE core_taxpayment SET amount = amount + 1", "payment-differs"),
        (False, "UPDATE core_taxpayment SET fiscal_year = 2025", "payment-differs"),
    ],
)
def test_what_the_tables_owner_changes_past_the_guards_is_found(large: bool, change: str, kind: str) -> None:
    posted = _post(large=large)
    assert verify_trail().findings == ()

    _past_the_guards(change)

    findings = verify_trail().findings
    assert kind in {finding.kind for finding in findings}
    assert posted.number in findings[0].expected


def test_a_void_that_its_owner_takes_back_is_found() -> None:
    posted = _post()
    transaction_void(posted=posted, by="user:vola", reason="wrong plate")

    _past_the_guards(f"{TRANSACTION} status = 'posted'")
    _past_the_guards("UPDATE core_taxpayment SET status = 'paid'")

    assert {finding.kind for finding in verify_trail().findings} == {"status-differs", "payment-differs"}


def _past_the_guards(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE payments_cashtransaction DISABLE TRIGGER USER")
        cursor.execute(statement)
