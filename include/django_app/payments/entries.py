"""
What the audit trail is told of cash: one function for each kind of entry.

The services, the demo data and the completeness checks use the same ones, so that they can't disagree.
Payloads hold codes, numbers and amounts (ariary), no personal data.
"""

from audit.record import NewEntry, microseconds
from payments.models import (
    CashSession,
    CashTransaction,
    CommissionReport,
    TransactionDecision,
)

SESSION = "payments.session"
TRANSACTION = "payments.transaction"
REPORT = "payments.report"


def session_opened(session: CashSession, *, actor: str) -> NewEntry:
    payload = {"agent": session.agent.code, "opening_float": session.opening_float}
    return NewEntry(actor, "payments.session.opened", SESSION, session.number, payload)


def session_closed(session: CashSession, *, actor: str) -> NewEntry:
    payload = {"agent": session.agent.code, "expected_balance": session.expected_balance}
    return NewEntry(actor, "payments.session.closed", SESSION, session.number, payload)


def session_counted(session: CashSession, *, actor: str) -> NewEntry:
    payload = {"counted_balance": session.counted_balance, "variance": session.variance}
    return NewEntry(actor, "payments.session.counted", SESSION, session.number, payload)


def session_reconciled(session: CashSession, *, actor: str, reason: str) -> NewEntry:
    payload = {"variance": session.variance, "reason": reason}
    return NewEntry(actor, "payments.session.reconciled", SESSION, session.number, payload)


def transaction_posted(transaction: CashTransaction, *, actor: str) -> NewEntry:
    payload = {
        "session": transaction.session.number,
        "agent": transaction.agent.code,
        "plate": transaction.plate,
        "fiscal_year": transaction.fiscal_year,
        "tax": transaction.tax,
        "tendered": transaction.tendered,
        "change": transaction.change,
        "commission": transaction.commission,
        "posted_at_us": microseconds(transaction.posted_at),
    }
    return NewEntry(actor, "payments.transaction.posted", TRANSACTION, transaction.number, payload)


def transaction_decided(decision: TransactionDecision, *, actor: str) -> NewEntry:
    transaction = decision.transaction
    payload = {"tax": transaction.tax, "reason": decision.reason}
    return NewEntry(actor, f"payments.transaction.{decision.kind}", TRANSACTION, transaction.number, payload)


def commission_paid(transaction: CashTransaction, *, actor: str) -> NewEntry:
    payload = {"agent": transaction.agent.code, "commission": transaction.commission}
    return NewEntry(actor, "payments.commission.paid", TRANSACTION, transaction.number, payload)


def report_issued(report: CommissionReport, *, actor: str) -> NewEntry:
    payload = {
        "month": report.month,
        "revision": report.revision,
        "accrued": report.accrued,
        "fingerprint": report.fingerprint,
    }
    return NewEntry(actor, "payments.report.issued", REPORT, report_subject(report), payload)


def report_withheld(*, month: str, findings: int, actor: str) -> NewEntry:
    return NewEntry(actor, "payments.report.withheld", REPORT, month, {"month": month, "findings": findings})


def report_subject(report: CommissionReport) -> str:
    """What a report is called: ``2026-03-r1``."""
    return f"{report.month}-r{report.revision}"
