"""Which business rows must have which audit entries, and with which figures (docs/domain.md §6)."""

from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper

from audit.completeness import AuditFinding, compare_with_rows
from payments.entries import REPORT, SESSION, TRANSACTION
from payments.rules import APPROVAL_FROM

_SESSION = (
    "SELECT number AS subject_id, jsonb_build_object({facts}) AS facts FROM payments_cashsession WHERE {when}"
)
_DECISION = """
    SELECT t.number AS subject_id, jsonb_build_object('tax', t.tax) AS facts
    FROM payments_transactiondecision d JOIN payments_cashtransaction t ON t.id = d.transaction_id
    WHERE d.kind = '{kind}'
"""
_TRANSACTION = """
    SELECT t.number AS subject_id, jsonb_build_object(
        'session', s.number, 'agent', a.code, 'plate', t.plate, 'fiscal_year', t.fiscal_year, 'tax', t.tax,
        'tendered', t.tendered, 'change', t.change, 'commission', t.commission,
        'posted_at_us', (extract(epoch FROM t.posted_at) * 1000000)::bigint) AS facts
    FROM payments_cashtransaction t
    JOIN payments_cashsession s ON s.id = t.session_id JOIN payments_agent a ON a.id = t.agent_id
"""
_PAID = """
    SELECT number AS subject_id, jsonb_build_object('commission', commission) AS facts
    FROM payments_cashtransaction WHERE commission_paid_at IS NOT NULL
"""
_REPORT = """
    SELECT month || '-r' || revision AS subject_id,
           jsonb_build_object('accrued', accrued, 'fingerprint', fingerprint) AS facts
    FROM payments_commissionreport
"""

_OPENED = _SESSION.format(facts="'opening_float', opening_float", when="true")
_CLOSED = _SESSION.format(facts="'expected_balance', expected_balance", when="closed_at IS NOT NULL")
_COUNTED = _SESSION.format(
    facts="'counted_balance', counted_balance, 'variance', variance", when="counted_balance IS NOT NULL"
)
_RECONCILED = _SESSION.format(facts="'variance', variance", when="status = 'reconciled'")

# Action, subject type, and the rows that must have such an entry.
_RULES = (
    ("payments.session.opened", SESSION, _OPENED),
    ("payments.session.closed", SESSION, _CLOSED),
    ("payments.session.counted", SESSION, _COUNTED),
    ("payments.session.reconciled", SESSION, _RECONCILED),
    ("payments.transaction.posted", TRANSACTION, _TRANSACTION),
    ("payments.transaction.approved", TRANSACTION, _DECISION.format(kind="approved")),
    ("payments.transaction.rejected", TRANSACTION, _DECISION.format(kind="rejected")),
    ("payments.transaction.voided", TRANSACTION, _DECISION.format(kind="voided")),
    ("payments.commission.paid", TRANSACTION, _PAID),
    ("payments.report.issued", REPORT, _REPORT),
)

# No entry tells a status, the instant from which a commission counts, or what became of the tax payment:
# the decisions do, and each of them has its entry.
_STATES = """
    WITH explained AS (
        SELECT t.number, t.status, t.accrued_at, t.posted_at, t.tax, t.plate, t.fiscal_year, t.payment_id,
               d.approved_at,
               CASE WHEN d.voided THEN 'voided' WHEN d.rejected THEN 'rejected'
                    WHEN d.approved_at IS NULL AND t.tax >= %s THEN 'pending' ELSE 'posted' END AS wanted
        FROM payments_cashtransaction t LEFT JOIN (
            SELECT transaction_id, bool_or(kind = 'voided') AS voided, bool_or(kind = 'rejected') AS rejected,
                   max(decided_at) FILTER (WHERE kind = 'approved') AS approved_at
            FROM payments_transactiondecision GROUP BY transaction_id) d ON d.transaction_id = t.id)
    SELECT e.number, e.status, e.wanted,
           e.accrued_at IS NOT DISTINCT FROM
               CASE WHEN e.wanted IN ('posted', 'voided') THEN coalesce(e.approved_at, e.posted_at) END,
           (p.plate, p.fiscal_year, p.amount, p.method, p.status) =
               (e.plate, e.fiscal_year, e.tax, 'cash', CASE e.wanted
                   WHEN 'pending' THEN 'pending' WHEN 'posted' THEN 'paid' ELSE 'cancelled' END)
    FROM explained e JOIN core_taxpayment p ON p.id = e.payment_id
"""
_DIFFERENT = (
    f"SELECT * FROM ({_STATES}) AS s (number, status, wanted, same_accrual, same_payment)"  # noqa: S608
    " WHERE status <> wanted OR NOT same_accrual OR NOT same_payment ORDER BY number LIMIT 1000"
)


def check_cash(cursor: CursorWrapper) -> Iterator[AuditFinding]:
    """Compare sessions, transactions, decisions, payouts and reports with the trail, both ways."""
    for action, subject_type, rows in _RULES:
        yield from compare_with_rows(cursor, rows=rows, subject_type=subject_type, action=action)
    cursor.execute(_DIFFERENT, [APPROVAL_FROM])
    for number, status, wanted, same_accrual, same_payment in cursor.fetchall():
        subject = f"{TRANSACTION}:{number}"
        if status != wanted:
            yield AuditFinding(
                None, "status-differs", f"{subject} {wanted}, by its decisions", f"status {status}"
            )
        if not same_accrual:
            yield AuditFinding(
                None, "accrual-differs", f"{subject} accrued when posted or approved", "another instant"
            )
        if not same_payment:
            yield AuditFinding(
                None, "payment-differs", f"a tax payment as of {subject}", "another one, or another status"
            )
