"""Two people, or a person and the system, at the same moment: each on a real connection of its own."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from audit.models import AuditEntry
from audit.verification import verify_trail
from core.models import TaxPayment
from payments.models import CashSession, CashTransaction
from payments.rules import Refused
from payments.services.closing import sessions_close_expired
from payments.services.sessions import session_close, session_count, session_open
from payments.services.transactions import (
    commission_pay,
    transaction_approve,
    transaction_post,
    transaction_void,
)
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)
LATER = datetime.now(UTC) + timedelta(hours=13)


def _race(first: Callable[[], Any], second: Callable[[], Any]) -> Future[Any]:
    """
    Let ``second`` come, on a connection of its own, while the transaction of ``first`` is still open.

    :returns: how ``second`` ended, once both have.
    """

    def elsewhere() -> Any:
        try:
            return second()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(max_workers=1) as pool:
        with transaction.atomic():
            first()
            ended = pool.submit(elsewhere)
            _until_it_waits(ended)
        ended.exception(timeout=10)
    return ended


def _until_it_waits(other: Future[Any]) -> None:
    end = time.monotonic() + 10
    while not other.done():
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        assert time.monotonic() < end, "the other one neither waits nor ends"
        time.sleep(0.02)


def _post(session: CashSession, **changes: Any) -> CashTransaction:
    vehicle = changes.pop("vehicle", None) or factories.vehicle()
    values = {"fiscal_year": 2026, "tendered": 3_000_000, "by": "user:hery", **changes}
    return transaction_post(session=session, vehicle=vehicle, **values)


def _sound() -> bool:
    return verify_trail().findings == ()


@pytest.mark.parametrize("closing", ["system", "person"])
def test_a_payment_that_comes_before_the_closing_is_in_the_balance(closing: str) -> None:
    session, vehicle = factories.open_session(), factories.vehicle()

    def close() -> None:
        if closing == "system":
            sessions_close_expired(as_of=LATER, dry_run=True)
        else:
            session_close(session=session, by="user:vola")

    ended = _race(lambda: _post(session, vehicle=vehicle), close)

    assert ended.exception() is None
    session.refresh_from_db()
    assert (session.status, session.expected_balance) == ("closed", 80_000)
    assert _sound()


@pytest.mark.parametrize("closing", ["system", "person"])
def test_a_payment_that_comes_after_the_closing_is_refused(closing: str) -> None:
    session, vehicle = factories.open_session(), factories.vehicle()

    def close() -> None:
        if closing == "system":
            sessions_close_expired(as_of=LATER, dry_run=True)
        else:
            session_close(session=session, by="user:vola")

    ended = _race(close, lambda: _post(session, vehicle=vehicle))

    assert isinstance(ended.exception(), Refused)
    session.refresh_from_db()
    assert session.expected_balance == 50_000
    assert (CashTransaction.objects.count(), TaxPayment.objects.count()) == (0, 0)
    assert _sound()


def test_two_closings_at_once_close_a_session_once() -> None:
    session = factories.open_session()
    reports = []

    def close() -> None:
        reports.append(sessions_close_expired(as_of=LATER, dry_run=True))

    ended = _race(close, close)

    assert ended.exception() is None
    assert [report.closed for report in reports] == [1, 0]
    assert AuditEntry.objects.filter(action="payments.session.closed").count() == 1
    session.refresh_from_db()
    assert session.status == "closed"
    assert _sound()


def test_two_tills_take_the_same_vehicles_tax_once() -> None:
    vehicle = factories.vehicle()
    here, there = factories.open_session(), factories.open_session()

    ended = _race(lambda: _post(here, vehicle=vehicle), lambda: _post(there, vehicle=vehicle))

    assert "fiscal_year" in str(ended.exception())
    assert TaxPayment.objects.count() == 1
    assert _sound()


def test_two_tills_never_get_the_same_number() -> None:
    here, there = factories.open_session(), factories.open_session()
    one, another = factories.vehicle(), factories.vehicle()

    ended = _race(lambda: _post(here, vehicle=one), lambda: _post(there, vehicle=another))

    assert ended.exception() is None
    numbers = CashTransaction.objects.order_by("number").values_list("number", flat=True)
    assert [number[-6:] for number in numbers] == ["000001", "000002"]


def test_an_agent_who_opens_twice_at_once_has_one_session() -> None:
    agent = factories.agent()

    def open_() -> None:
        session_open(agent=agent, opening_float=1, by="user:hery")

    ended = _race(open_, open_)

    assert "open session already" in str(ended.exception())
    assert CashSession.objects.count() == 1


def test_a_session_is_counted_once() -> None:
    session = session_close(session=factories.open_session(), by="user:hery")

    ended = _race(
        lambda: session_count(session=session, counted_balance=50_000, by="user:hery"),
        lambda: session_count(session=session, counted_balance=40_000, by="user:vola"),
    )

    assert "counted already" in str(ended.exception())
    session.refresh_from_db()
    assert session.counted_balance == 50_000


def test_a_payment_is_approved_once_and_voided_once() -> None:
    session = factories.open_session()
    posted = _post(session, vehicle=factories.aircraft())

    def approve() -> None:
        transaction_approve(posted=posted, by="user:vola", reason="seen")

    def void() -> None:
        transaction_void(posted=posted, by="user:vola", reason="wrong plate")

    assert isinstance(_race(approve, approve).exception(), Refused)
    assert isinstance(_race(void, void).exception(), Refused)
    assert _sound()


def test_a_commission_is_paid_once_and_not_beside_a_void() -> None:
    session = factories.open_session()
    paid, voided = _post(session), _post(session)

    def pay(transaction_: CashTransaction) -> Callable[[], Any]:
        return lambda: commission_pay(agent=session.agent, transactions=[transaction_], by="user:vola")

    def void() -> None:
        transaction_void(posted=voided, by="user:vola", reason="wrong plate")

    assert isinstance(_race(pay(paid), pay(paid)).exception(), Refused)
    assert isinstance(_race(void, pay(voided)).exception(), Refused)
    assert _sound()
