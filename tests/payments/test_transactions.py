"""Taking cash, approving and voiding it (docs/domain.md §3)."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.utils import timezone as clock

from audit.models import AuditEntry
from audit.verification import verify_trail
from core.models import TaxPayment, Vehicle
from payments.models import CashSession, CashTransaction
from payments.rules import Refused, commission_of
from payments.services.sessions import session_close
from payments.services.transactions import (
    commission_pay,
    transaction_approve,
    transaction_post,
    transaction_reject,
    transaction_void,
)
from tests import factories

pytestmark = pytest.mark.django_db
YEAR = 2026


@pytest.fixture(autouse=True)
def _on_a_day_in_march(monkeypatch: pytest.MonkeyPatch) -> None:
    _set_clock(monkeypatch, datetime(2026, 3, 10, 9, 0, tzinfo=UTC))


def _set_clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: at)


def _post(
    session: CashSession | None = None, vehicle: Vehicle | None = None, **changes: object
) -> CashTransaction:
    values: dict[str, object] = {"fiscal_year": YEAR, "tendered": 3_000_000, "by": "user:hery", **changes}
    return transaction_post(
        session=session or factories.open_session(), vehicle=vehicle or factories.vehicle(), **values
    )


def test_a_payment_is_posted_with_its_change_and_commission() -> None:
    posted = _post(tendered=50_000)

    assert (posted.tax, posted.change, posted.status) == (30_000, 20_000, "posted")
    assert (posted.commission_rate, posted.commission) == (Decimal("0.02"), 600)
    assert posted.payment.status == "paid"
    assert posted.number.startswith("CASH-20260310-")
    assert verify_trail().findings == ()


def test_a_rate_of_nought_is_a_rate() -> None:
    session = factories.open_session(of=factories.agent(commission_rate=Decimal("0")))

    assert _post(session).commission == 0


@pytest.mark.parametrize(
    ("tax", "rate", "commission"),
    [(25, "0.02", 0), (75, "0.02", 2), (125, "0.02", 2), (15_000, "0.0150", 225)],
)
def test_commissions_are_rounded_half_even(tax: int, rate: str, commission: int) -> None:
    assert commission_of(tax=tax, rate=Decimal(rate)) == commission


def test_less_than_the_tax_is_refused_naming_the_field() -> None:
    with pytest.raises(Refused, match=r"tendered: 29999 Ar is less than the tax of 30000 Ar"):
        _post(tendered=29_999)


def test_from_half_a_million_a_second_person_approves() -> None:
    posted = _post(vehicle=factories.aircraft())

    assert (posted.status, posted.accrued_at, posted.payment.status) == ("pending", None, "pending")
    with pytest.raises(Refused, match="second person"):
        transaction_approve(posted=posted, by="user:hery", reason="ok")
    approved = transaction_approve(posted=posted, by="user:vola", reason="papers seen")
    assert (approved.status, approved.payment.status) == ("posted", "paid")
    assert approved.accrued_at is not None


def test_a_rejected_payment_can_be_made_again() -> None:
    session, aircraft = factories.open_session(), factories.aircraft()
    posted = _post(session, aircraft)

    transaction_reject(posted=posted, by="user:vola", reason="no papers")

    assert _post(session, aircraft).status == "pending"
    assert verify_trail().findings == ()


def test_a_vehicle_pays_a_year_once() -> None:
    session, vehicle = factories.open_session(), factories.vehicle()
    _post(session, vehicle)

    with pytest.raises(Refused, match=r"fiscal_year: .* has paid 2026 already"):
        _post(session, vehicle)


def test_a_voided_year_can_be_paid_again() -> None:
    session, vehicle = factories.open_session(), factories.vehicle()
    transaction_void(posted=_post(session, vehicle), by="user:vola", reason="wrong plate")

    assert _post(session, vehicle).status == "posted"
    assert sorted(TaxPayment.objects.values_list("status", flat=True)) == ["cancelled", "paid"]
    assert verify_trail().findings == ()


def test_a_void_takes_at_most_thirty_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    session = factories.open_session()
    first, second = _post(session), _post(session)

    _set_clock(monkeypatch, first.posted_at + timedelta(minutes=30))
    transaction_void(posted=first, by="user:vola", reason="in time")
    _set_clock(monkeypatch, first.posted_at + timedelta(minutes=30, microseconds=1))
    with pytest.raises(Refused, match="30 minutes"):
        transaction_void(posted=second, by="user:vola", reason="too late")


def test_a_void_needs_an_open_session_and_a_second_person() -> None:
    session = factories.open_session()
    posted = _post(session)

    with pytest.raises(Refused, match="second person"):
        transaction_void(posted=posted, by="user:hery", reason="x")
    session_close(session=session, by="user:hery")
    with pytest.raises(Refused, match="no longer open"):
        transaction_void(posted=posted, by="user:vola", reason="x")


def test_next_year_is_paid_from_the_first_of_december(monkeypatch: pytest.MonkeyPatch) -> None:
    session = factories.open_session()

    # 23:59 on 30 November, and midnight, in Antananarivo.
    _set_clock(monkeypatch, datetime(2026, 11, 30, 20, 59, 59, tzinfo=UTC))
    with pytest.raises(Refused, match="fiscal_year: 2027 can be paid from 2026-12-01"):
        _post(session, fiscal_year=2027)
    _set_clock(monkeypatch, datetime(2026, 11, 30, 21, 0, tzinfo=UTC))
    assert _post(session, fiscal_year=2027).fiscal_year == 2027


def test_exempt_and_inactive_vehicles_pay_nothing() -> None:
    for vehicle in (factories.vehicle(category="ambulance"), factories.vehicle(active=False)):
        with pytest.raises(Refused, match="vehicle"):
            _post(vehicle=vehicle)


def test_a_vehicle_pays_no_year_before_its_first() -> None:
    with pytest.raises(Refused, match="not in service in 2025"):
        _post(vehicle=factories.vehicle(first_circulation_on=date(2026, 1, 2)), fiscal_year=2025)


def test_a_closed_session_takes_nothing() -> None:
    session = factories.open_session()
    session_close(session=session, by="user:hery")

    with pytest.raises(Refused, match="session"):
        _post(session)


def test_commissions_are_paid_once_and_not_by_the_agent() -> None:
    agent = factories.agent(user=factories.user("hery"))
    posted = _post(factories.open_session(of=agent))

    with pytest.raises(Refused, match="second person"):
        commission_pay(agent=agent, transactions=[posted], by="user:hery")
    assert commission_pay(agent=agent, transactions=[posted], by="user:finance") == 600
    with pytest.raises(Refused, match="unpaid"):
        commission_pay(agent=agent, transactions=[posted], by="user:finance")
    assert verify_trail().findings == ()


def test_deleting_vehicle_owner_and_user_keeps_payments_and_the_trail() -> None:
    agent = factories.agent(user=factories.user("hery"))
    vehicle = factories.vehicle()
    _post(factories.open_session(of=agent), vehicle)
    entries = AuditEntry.objects.count()

    owner = vehicle.owner
    assert owner is not None
    owner.delete()
    vehicle.delete()
    agent.user.delete()

    payment = TaxPayment.objects.get()
    assert (payment.vehicle, payment.plate, payment.amount) == (None, vehicle.plate, 30_000)
    assert AuditEntry.objects.count() == entries
    assert verify_trail().findings == ()


@pytest.mark.parametrize(
    "change",
    ["tax = tax + 1", "plate = 'X'", "posted_at = now()", "commission = 0", "tendered = tendered + 1"],
)
def test_the_database_refuses_to_change_a_posted_transaction(change: str) -> None:
    posted = _post()

    with pytest.raises(Exception, match="never change"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE payments_cashtransaction SET {change} WHERE id = %s", [posted.pk])  # noqa: S608


def test_the_database_moves_a_status_only_with_its_decision() -> None:
    posted = _post()

    statements = (
        f"UPDATE payments_cashtransaction SET status = 'voided' WHERE id = {posted.pk};"  # noqa: S608
        "SET CONSTRAINTS ALL IMMEDIATE"
    )

    with (
        pytest.raises(Exception, match="only with a decision"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statements)
