"""Which business rows must have which audit entries, and with which figures (docs/domain.md §6)."""

from collections.abc import Iterator

from django.db.backends.utils import CursorWrapper

from audit.completeness import AuditFinding, compare_with_rows
from payments.entries import REPORT, SESSION, TRANSACTION

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

# A status that no decision explains would not show in any entry.
_UNDECIDED = """
    SELECT t.number, t.status FROM payments_cashtransaction t
    WHERE t.status IN ('rejected', 'voided') AND NOT EXISTS (
        SELECT 1 FROM payments_transactiondecision d WHERE d.transaction_id = t.id AND d.kind = t.status)
"""


def check_cash(cursor: CursorWrapper) -> Iterator[AuditFinding]:
    """Compare sessions, transactions, decisions, payouts and reports with the trail, both ways."""
    for action, subject_type, rows in _RULES:
        yield from compare_with_rows(cursor, rows=rows, subject_type=subject_type, action=action)
    cursor.execute(_UNDECIDED)
    for number, status in cursor.fetchall():
        yield AuditFinding(
            None, "decision-missing", f"a decision for {TRANSACTION}:{number}", f"status {status}"
        )
