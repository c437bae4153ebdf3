"""Sessions that nobody closed (docs/domain.md §3)."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditEntry
from audit.verification import verify_trail
from operations.models import OperationRun
from outbox.models import Mail
from payments.models import CashSession
from payments.services.closing import sessions_close_expired
from payments.services.transactions import transaction_post, transaction_reject, transaction_void
from tests import factories
from tests.database import contents
from tests.smtp import Relay, body

POISON = """
    CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.id = {pk} THEN RAISE EXCEPTION 'poison' USING ERRCODE = 'check_violation'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER poison BEFORE UPDATE ON payments_cashsession FOR EACH ROW EXECUTE FUNCTION poison()
"""
NOON = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


def _close(**options: object) -> CashSession:
    call_command("close_expired_sessions", f"--as-of={NOON.isoformat()}", **options)


def test_a_session_open_for_exactly_twelve_hours_stays_open(db: None) -> None:
    session = factories.open_session(opened_at=NOON - timedelta(hours=12))

    report = sessions_close_expired(as_of=NOON, dry_run=True)

    session.refresh_from_db()
    assert (report.closed, session.status) == (0, "open")


def test_a_microsecond_more_is_closed_by_the_system_and_not_counted(db: None) -> None:
    session = factories.open_session(opened_at=NOON - timedelta(hours=12, microseconds=1))

    report = sessions_close_expired(as_of=NOON, dry_run=True)

    session.refresh_from_db()
    assert report.closed == 1
    assert (session.status, session.closed_by, session.expected_balance) == ("closed", "system", 50_000)
    assert (session.counted_balance, session.variance) == (None, None)
    (entry,) = AuditEntry.objects.filter(action="payments.session.closed", subject_id=session.number)
    assert entry.actor == "system:close_expired_sessions"
    assert json.loads(entry.payload)["expected_balance"] == 50_000


def test_the_balance_has_pending_cash_and_neither_rejected_nor_voided_cash(db: None) -> None:
    session = factories.open_session()
    posted = transaction_post(
        session=session, vehicle=factories.vehicle(), fiscal_year=2026, tendered=40_000, by="user:hery"
    )
    transaction_post(
        session=session, vehicle=factories.aircraft(), fiscal_year=2026, tendered=2_000_000, by="user:hery"
    )
    rejected = transaction_post(
        session=session, vehicle=factories.aircraft(), fiscal_year=2026, tendered=2_000_000, by="user:hery"
    )
    transaction_reject(posted=rejected, by="user:vola", reason="wrong plate")
    voided = transaction_post(
        session=session, vehicle=factories.vehicle(), fiscal_year=2026, tendered=30_000, by="user:hery"
    )
    transaction_void(posted=voided, by="user:vola", reason="wrong plate")

    sessions_close_expired(as_of=datetime.now(UTC) + timedelta(hours=13), dry_run=True)

    session.refresh_from_db()
    assert posted.change == 10_000
    assert session.expected_balance == 50_000 + 30_000 + 2_000_000
    assert verify_trail().findings == ()


def test_nothing_to_do_is_a_success_with_noughts(db: None) -> None:
    report = sessions_close_expired(as_of=NOON, dry_run=True)

    assert (report.considered, report.closed, report.bad_rows) == (0, 0, ())


@pytest.mark.django_db(transaction=True)
def test_the_agent_gets_one_notice_and_a_second_run_does_nothing(relay: Relay) -> None:
    session = factories.open_session(opened_at=NOON - timedelta(hours=20))

    _close()
    once = contents(but=("operations.OperationRun",))
    _close()

    assert contents(but=("operations.OperationRun",)) == once
    (mail,) = relay.mails
    assert session.number in str(mail["Subject"])
    assert "50\u202f000\xa0Ar" in body(mail)
    assert "pas encore compté" in body(mail, "html")
    assert [run.report["closed"] for run in OperationRun.objects.order_by("id")] == [1, 0]


@pytest.mark.django_db(transaction=True)
def test_a_dry_run_leaves_every_table_as_it_was_and_sends_nothing(relay: Relay) -> None:
    factories.open_session(opened_at=NOON - timedelta(hours=20))
    before = contents(but=("operations.OperationRun",))

    _close(dry_run=True)

    assert contents(but=("operations.OperationRun",)) == before
    assert relay.mails == []
    (run,) = OperationRun.objects.all()
    assert (run.dry_run, run.state, run.report["closed"]) == (True, "succeeded", 1)


@pytest.mark.django_db(transaction=True)
def test_with_the_relay_down_the_session_is_closed_and_the_notice_waits(relay: Relay) -> None:
    session = factories.open_session(opened_at=NOON - timedelta(hours=20))
    relay.stop()

    _close()

    session.refresh_from_db()
    assert session.status == "closed"
    assert [mail.state for mail in Mail.objects.all()] == ["planned"]
    assert "wait in the outbox" in OperationRun.objects.get().report["warnings"][0]


@pytest.mark.django_db(transaction=True)
def test_one_poisonous_session_is_named_and_the_others_are_closed(relay: Relay) -> None:
    from django.db import connection

    good = [factories.open_session(opened_at=NOON - timedelta(hours=20)) for _ in range(3)]
    bad = factories.open_session(opened_at=NOON - timedelta(hours=21))
    with connection.cursor() as cursor:
        cursor.execute(POISON.format(pk=bad.pk))
    try:
        with pytest.raises(CommandError) as outcome:
            _close()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION poison CASCADE")

    assert outcome.value.returncode == 65
    assert bad.number in str(outcome.value)
    assert CashSession.objects.filter(status="closed").count() == len(good)
    assert verify_trail().findings == ()
