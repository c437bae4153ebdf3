"""The trail against the records it tells of, both ways: found even when every hash is right."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from audit import completeness
from audit.completeness import AuditFinding
from audit.record import NewEntry
from audit.services import append_entries
from audit.verification import verify_trail
from payments.models import CashSession, CashTransaction
from payments.services.sessions import session_close
from payments.services.transactions import transaction_post
from tests import factories
from tests.audit import forger

pytestmark = pytest.mark.django_db


@pytest.fixture
def cash() -> tuple[CashSession, CashTransaction]:
    """A session with one transaction: entry 1 opened it, entry 2 posted it."""
    session = factories.open_session()
    posted = transaction_post(
        session=session, vehicle=factories.vehicle(), fiscal_year=2026, tendered=40_000, by="user:hery"
    )
    assert verify_trail().findings == ()
    return session, posted


def _sql(statement: str, *values: object) -> None:
    """Change the records as their tables' owner could: without their guards."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("payments_cashtransaction", "payments_cashsession"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, values)


def _found() -> list[tuple[int | None, str]]:
    return [(finding.sequence, finding.kind) for finding in verify_trail().findings]


def test_a_row_with_no_entry(cash: tuple[CashSession, CashTransaction]) -> None:
    CashSession.objects.create(
        number="SESS-20260310-999999",
        agent=factories.agent(),
        opening_float=1,
        opened_at=datetime(2026, 3, 10, tzinfo=UTC),
    )

    (finding,) = verify_trail().findings

    assert (finding.sequence, finding.kind) == (None, "entry-missing")
    assert finding.expected == "payments.session.opened of payments.session:SESS-20260310-999999"


def test_an_entry_with_no_row(cash: tuple[CashSession, CashTransaction]) -> None:
    _, posted = cash
    _sql("DELETE FROM payments_cashtransaction WHERE id = %s", posted.pk)

    (finding,) = verify_trail().findings

    assert (finding.sequence, finding.kind) == (2, "row-missing")
    assert finding.expected == f"payments.transaction:{posted.number}"


def test_a_row_whose_amount_is_not_the_entrys(cash: tuple[CashSession, CashTransaction]) -> None:
    _, posted = cash
    _sql("UPDATE payments_cashtransaction SET tendered = tendered + 1, change = change + 1")

    (finding,) = verify_trail().findings

    assert (finding.sequence, finding.kind) == (2, "row-differs")
    assert posted.number in finding.found


def test_the_whole_trail_written_anew_with_another_amount(cash: tuple[CashSession, CashTransaction]) -> None:
    rows = forger.stored()
    payload = rows[1].payload.replace('"tendered":40000', '"tendered":50000')
    forged = forger.rechained([rows[0], forger.rehashed(rows[1], payload=payload)])

    forger.replace_table(forged, head=forged[-1])

    assert _found() == [(2, "row-differs")]


def test_the_tail_cut_off_and_the_head_moved_back(cash: tuple[CashSession, CashTransaction]) -> None:
    rows = forger.stored()

    forger.replace_table(rows[:1], head=rows[0])

    assert _found() == [(None, "entry-missing")]


def test_everything_deleted_and_the_head_moved_to_the_start(
    cash: tuple[CashSession, CashTransaction],
) -> None:
    forger.replace_table([])
    _sql("UPDATE audit_audithead SET sequence = 0, at_us = 0, entry_hash = %s", bytes(32))

    assert _found() == [(None, "entry-missing")] * 2


def test_an_entry_appended_a_second_time(cash: tuple[CashSession, CashTransaction]) -> None:
    first, posted = forger.stored()
    again = forger.rehashed(posted, sequence=3, previous_hash=posted.entry_hash)

    forger.replace_table([first, posted, again], head=again)

    assert _found() == [(3, "row-missing")]


def test_an_entry_appended_by_the_rules_for_nothing(cash: tuple[CashSession, CashTransaction]) -> None:
    with transaction.atomic():
        append_entries([NewEntry("user:x", "payments.commission.paid", "payments.transaction", "CASH-0", {})])

    assert _found() == [(3, "row-missing")]


@pytest.mark.parametrize("payload", ["nothing like JSON", '"text"', '{"a":"\\u0000"}', '{"a":1e999999}', ""])
def test_a_payload_that_cannot_be_read_is_a_finding_and_hides_nothing_else(
    cash: tuple[CashSession, CashTransaction], payload: str
) -> None:
    rows = forger.stored()
    rows[1] = forger.rehashed(rows[1], payload=payload)

    forger.replace_table(rows, head=rows[1])

    found = _found()
    assert found[0] == (2, "payload")
    assert found[1] in [(2, "row-differs"), (None, "unreadable")]


def test_a_check_that_fails_is_a_finding_and_the_next_one_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(cursor):
        cursor.execute("SELECT 1 / 0")
        return []

    monkeypatch.setattr(completeness, "_checks", {})
    completeness.register("b", lambda cursor: [AuditFinding(7, "of-its-own", "this", "that")])
    completeness.register("a", unreadable)

    found = verify_trail().findings

    assert [finding.kind for finding in found] == ["unreadable", "of-its-own"]
    assert "division by zero" in found[0].found


def test_a_part_of_the_trail_is_not_compared(cash: tuple[CashSession, CashTransaction]) -> None:
    _sql("DELETE FROM payments_cashtransaction")

    assert verify_trail(to_sequence=1).findings == ()
    assert verify_trail(from_sequence=2).findings == ()


def test_deleting_a_user_an_agents_login_and_a_vehicle_changes_nothing() -> None:
    user = factories.user("hery")
    holder = factories.agent(user=user)
    session = factories.open_session(of=holder)
    vehicle = factories.vehicle()
    transaction_post(session=session, vehicle=vehicle, fiscal_year=2026, tendered=30_000, by="user:hery")
    session_close(session=session, by="user:hery")
    before = forger.stored()

    user.delete()
    vehicle.owner.delete()
    type(vehicle).objects.all().delete()

    assert forger.stored() == before
    assert verify_trail().findings == ()


def test_sessions_of_the_past_are_compared_like_all_others() -> None:
    factories.open_session(opened_at=datetime.now(UTC) - timedelta(days=400))

    assert verify_trail().findings == ()
